import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { readCrashPoints } from '../../server/crash-points.ts';
import type { Database } from '../../server/database/database.ts';
import { startEmbedded } from '../../server/database/embedded.ts';
import { openDatabase } from '../../server/database/postgres.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { makeHome, type TestHome } from '../start-app.ts';
import { travel } from './journey.ts';
import { findViolations, type Outcome, readOutcome, readResumption } from './outcome.ts';

const limitMs = 150_000;
/** A lease lasts a second here and a resumption two more; the rest is for a machine that does other things too. */
const resumptionLimitMs = 8_000;

/** Which PostgreSQL the server has: one that is given to it, or its own, which dies and rises with it. */
export type Store = 'given' | 'embedded';

interface Ground extends AsyncDisposable {
  home: TestHome;
  env: Record<string, string>;
  /** The database, once the server has stopped. */
  read<T>(use: (database: Database) => Promise<T>): Promise<T>;
}

/** A home whose database is empty: not even a migration has run. */
async function openGround(store: Store): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await makeHome());
  const given = store === 'given' ? stack.use(await createTestDatabase({ migrations: [] })) : null;
  const all = stack.move();
  return {
    home,
    env: given === null ? {} : { DATABASE_URL: given.connectionString },
    read: (use) => (given === null ? readEmbedded(home, use) : use(given.database)),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function readEmbedded<T>(home: TestHome, use: (database: Database) => Promise<T>): Promise<T> {
  const log = pino({ level: 'silent' });
  await using postgres = await startEmbedded({ folder: join(home.path, 'postgres'), log, endsWithUs: true });
  const { connection } = postgres;
  const database = await openDatabase({ connection, crashPoints: readCrashPoints({}), log });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

export interface Enumeration {
  /** Every point that a faultless journey reached, in its order. */
  points: string[];
  outcome: Outcome;
}

/** A journey without a fault on an empty database: from the first migration to the server's stop. */
export async function enumerate(): Promise<Enumeration> {
  await using ground = await openGround('given');
  const { home, env } = ground;
  const trace = join(home.path, 'points');
  await travel(home, { limitMs, spawn: () => home.spawn({ env: { ...env, MISSION_CRASH_TRACE: trace } }) });
  const lives = await home.processes();
  const { violations, outcome } = await ground.read(async (database) => ({
    violations: await findViolations(database, home),
    outcome: await readOutcome(database, home),
  }));
  if (violations.length + lives.length > 0) throw new Error(`without a fault: ${violations.join('; ')}`);
  return { points: (await readFile(trace, 'utf8')).trim().split('\n'), outcome };
}

export interface PointResult {
  point: string;
  /** The process died there; false where a journey of other timing did not come by. */
  reached: boolean;
  problems: string[];
  /** How long after the new start the dead worker's run went on; null where none was held. */
  resumedAfterMs: number | null;
  seconds: number;
}

/** The same journey with the process killed at the point, and started again. */
export async function crashAt(
  point: string,
  expected: Outcome,
  store: Store = 'given',
): Promise<PointResult> {
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 100) / 10;
  try {
    await using ground = await openGround(store);
    const { home, env } = ground;
    const { deaths } = await travel(home, {
      limitMs,
      spawn: (attempt) => home.spawn({ env: attempt === 0 ? { ...env, MISSION_CRASH_AT: point } : env }),
    });
    const lives = (await home.processes()).map((pid) => `process ${pid} of the server's lives on`);
    return await ground.read(async (database) => {
      const resumedAfterMs = await readResumption(database);
      const problems = [
        ...lives,
        ...(await findViolations(database, home)),
        ...compare(await readOutcome(database, home), expected),
        ...(deaths > 1 ? [`the server died ${deaths} times`] : []),
        ...((resumedAfterMs ?? 0) > resumptionLimitMs ? [`it went on only after ${resumedAfterMs} ms`] : []),
      ];
      return { point, reached: deaths > 0, problems, resumedAfterMs, seconds: seconds() };
    });
  } catch (error) {
    const problems = [error instanceof Error ? error.message : String(error)];
    return { point, reached: true, problems, resumedAfterMs: null, seconds: seconds() };
  }
}

function compare(outcome: Outcome, expected: Outcome): string[] {
  const wanted = new Map<string, unknown>(Object.entries(expected));
  return Object.entries(outcome).flatMap(([key, value]) => {
    const [got, want] = [JSON.stringify(value), JSON.stringify(wanted.get(key))];
    return got === want ? [] : [`${key}: ${got} instead of ${want}`];
  });
}

/** Runs over the points, a few side by side, and tells of each as it ends. */
export async function crashAtAll(
  points: readonly string[],
  expected: Outcome,
  options: { store: Store; sideBySide: number; tell: (result: PointResult) => void },
): Promise<PointResult[]> {
  const results: PointResult[] = [];
  const waiting = [...points];
  const work = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      const result = await crashAt(point, expected, options.store);
      results.push(result);
      options.tell(result);
    }
  };
  await Promise.all(Array.from({ length: options.sideBySide }, work));
  return results;
}
