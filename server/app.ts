import { mkdir } from 'node:fs/promises';
import { setTimeout as breathe } from 'node:timers/promises';
import type { Base } from './assembly/base.ts';
import { fixedSecrets } from './assembly/fixed-secrets.ts';
import { openStore } from './assembly/store.ts';
import type { Config } from './config.ts';
import { type CrashPoints, readCrashPoints } from './crash-points.ts';
import { openLog } from './log.ts';
import { Redactor } from './redaction.ts';

export interface App extends AsyncDisposable {
  /** Where the API answers; null in a process without that role. */
  url: string | null;
  /** A one-time link to the dashboard, given at the first start on a database. */
  loginUrl: string | null;
  /** Tells of a fault that nobody caught, in the log and to whoever is told of faults. */
  tellFault(fault: Error): void;
}

/** Builds the process out of its parts and starts the chosen roles; disposing stops them in reverse. */
export async function startApp(given: Config, env: NodeJS.ProcessEnv): Promise<App> {
  await using started = new AsyncDisposableStack();
  const redactor = new Redactor();
  redactor.know(fixedSecrets(given));
  const log = openLog(given.logLevel, redactor.redact, await openFaultReport(given, redactor, started));
  const base = { log, started, crashPoints: readCrashPoints(env) };
  await mkdir(given.home, { recursive: true, mode: 0o700 });
  const [store, { startHouse, sandbox }] = await openGround(given, base);
  const api = await startHouse(given, { ...base, redactor, store, sandbox });
  const running = started.move();
  return {
    ...api,
    tellFault: (error) => log.fatal({ error }, 'nobody caught this fault: the process ends'),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Undefined where nobody wants to be told of faults. */
async function openFaultReport(config: Config, redactor: Redactor, started: AsyncDisposableStack) {
  if (config.telemetry.sentry === null) return undefined;
  const { openFaults } = await import('./assembly/telemetry.ts');
  return (await openFaults(config, { redact: redactor.redact, started }))?.report;
}

/**
 * The database, and what needs none. Loading the modules blocks this process for most of a start, so the database,
 * which starts in processes of its own, is begun before, and goes on between the pieces and after them.
 */
async function openGround(config: Config, base: Base & { crashPoints: CrashPoints }) {
  const begun = Promise.withResolvers<void>();
  const opening = openStore(config, { ...base, onWait: begun.resolve });
  const load = async () => {
    await Promise.race([begun.promise, opening]);
    const { openSandbox } = await import('./assembly/computer.ts');
    const [sandbox, { startHouse }] = await bothEnded(openSandbox(config, base), loadHouse());
    return { sandbox, startHouse };
  };
  return bothEnded(opening, load());
}

async function loadHouse() {
  const pieces = [
    () => import('./assembly/models.ts'),
    () => import('./assembly/secrets.ts'),
    () => import('./assembly/upkeep.ts'),
    () => import('./tools/catalogue.ts'),
    () => import('./assembly/worker.ts'),
    () => import('./http/server.ts'),
  ];
  for (const load of pieces) {
    await breathe(turnMs);
    await load();
  }
  await breathe(turnMs);
  return import('./assembly/house.ts');
}

/** Enough for what has come in meanwhile to be answered. */
const turnMs = 2;

/** Both outcomes; where one fails, only once the other has ended too, so that nothing is opened behind our back. */
async function bothEnded<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
