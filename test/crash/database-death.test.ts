import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { sendKill } from '../../server/computers/processes.ts';
import { readCrashPoints } from '../../server/crash-points.ts';
import { connectionOf, readConnectionFile } from '../../server/database/connection-file.ts';
import type { Database } from '../../server/database/database.ts';
import { openDatabase } from '../../server/database/postgres.ts';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { findBrokenLink } from '../../server/events/verify.ts';
import { git } from '../small-repository.ts';
import { makeHome, readPostmaster, type ServerProcess, type TestHome } from '../start-app.ts';

/** Whole servers are started, on a machine that may be doing other things. */
const limitMs = 120_000;

test('PostgreSQL is killed again and again under a run: the server lives, and nothing acknowledged is lost', {
  timeout: limitMs,
}, async () => {
  await using home = await makeHome();
  await using server = await home.start();
  const runId = await order(home);
  for (const command of [1, 3, 5]) {
    await awaitCommand(home, command);
    await home.api.say(runId, `acknowledged ${command}`);
    const postmaster = await readPostmaster(home.path);
    if (postmaster === undefined) throw new Error('no PostgreSQL runs here');
    sendKill(postmaster);
    await server.awaitLog('PostgreSQL is up again');
  }
  await expectWholeRun(home, runId);
  const guidance = (await home.api.steps(runId)).filter((step) => step.kind === 'guidance');
  expect(guidance.map((step) => step.intent.text)).toEqual(
    [1, 3, 5].map((command) => `acknowledged ${command}`),
  );

  const file = await readConnectionFile(join(home.path, 'postgres', 'connection.json'));
  if (file === undefined) throw new Error('the embedded database has no connection file');
  const database = await openDatabase({
    connection: connectionOf(file),
    crashPoints: readCrashPoints({}),
    log: pino({ level: 'silent' }),
  });
  await expectSoundLog(database);
  await database.close();
  await expectCleanStop(server);
});

test('every connection is ended again and again under a run: it goes on each time', {
  timeout: limitMs,
}, async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  await using server = await home.start({ env: { DATABASE_URL: database.connectionString } });
  const runId = await order(home);
  let rounds = 0;
  for await (const _ of setInterval(350)) {
    const ended = await endConnections(database.database);
    rounds += 1;
    if (rounds > 3) expect(ended).toBeGreaterThan(0);
    if (rounds === 10) break;
  }
  await expectWholeRun(home, runId);
  await expectSoundLog(database.database);
  await expectCleanStop(server);
});

async function order({ api, repository }: TestHome): Promise<string> {
  const task = { instructions: 'Mend the greeting', repository, checks: ['sh check.sh'] };
  return (await api.createTask({ ...task, model: 'recorded/steady' })).run.id;
}

/** The run's nth command is about to start, or runs. */
async function awaitCommand({ api }: TestHome, ordinal: number): Promise<void> {
  const seen = new Set<unknown>();
  await api.awaitEvent((event) => {
    if (event.type === 'step.intended' && event.data['name'] === 'run_command') seen.add(event.data['seq']);
    return seen.size === ordinal;
  });
}

async function endConnections(database: Database): Promise<number> {
  const ended = await database.many(
    sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'mission-control'`,
  );
  return ended.length;
}

/** Each command took effect once, and the change can be merged. */
async function expectWholeRun({ api, repository }: TestHome, runId: string): Promise<void> {
  const run = await api.awaitEnd(runId);
  expect(run).toMatchObject({ status: 'succeeded', budget: { reservedMicros: 0, reservedTokens: 0 } });
  const [change] = await api.changes(run.taskId);
  await api.merge(change?.id ?? '');
  await api.awaitEvent((event) => event.type === 'change.merged');
  const marks = [1, 2, 3, 4, 5, 6, 7].map((step) => `step ${step}`).join('\n');
  expect(await git(repository, 'show', 'main:marks.txt')).toBe(marks);
}

async function expectSoundLog(database: Database): Promise<void> {
  expect(await findBrokenLink(database)).toBeNull();
  expect(await database.one(sql`SELECT count(*) FROM reservations`)).toEqual({ count: 0 });
}

/** It never ended by itself: it ends now, in order. */
async function expectCleanStop(server: ServerProcess): Promise<void> {
  expect(await server.stop()).toEqual({ code: 0, signal: null });
}
