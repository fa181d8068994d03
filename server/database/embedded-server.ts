import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Connection } from './connection.ts';
import type { Binaries } from './embedded-binaries.ts';
import { explainFailure, postgresArguments } from './embedded-data.ts';
import { asIdentity, type Identity } from './embedded-identity.ts';
import { clientConfig, endClient } from './link-settings.ts';
import { endProcesses, isAlive, isPostgresOf, processesOf, readPidFile } from './postmaster.ts';
import { poll, sleepJittered } from './waiting.ts';

/** All that a PostgreSQL of ours is started from. */
export interface Plan {
  /** A real path, without links: processes are recognised by it. */
  data: string;
  logFile: string;
  binaries: Binaries;
  identity: Identity;
  connection: Connection;
  /** Settings besides the usual ones. */
  settings: Record<string, string>;
  /** PostgreSQL stops when we die, instead of waiting to be adopted; for tests. */
  endsWithUs: boolean;
  log: Logger;
  /** Called when one of its programs was started. */
  onWait: (() => void) | undefined;
}

export interface Running {
  pid: number;
  adopted: boolean;
  /** Resolves when it has ended, with how; for an adopted one also when the signal given at the start aborts. */
  gone: Promise<string>;
}

/** A crash may leave much WAL to replay before PostgreSQL is ready. */
const readyLimitMs = 300_000;
/** How long what is left of an earlier PostgreSQL may stand in the way. */
const inTheWayLimitMs = 20_000;

/**
 * Brings PostgreSQL up: adopts the one that an earlier owner left running, if it is just what we would start, or
 * ends what is left and starts anew. The caller holds the data folder's lock.
 * @throws AppError `database_unavailable` saying what to do; then nothing runs
 */
export async function bringUp(plan: Plan, signal: AbortSignal): Promise<Running> {
  const adopted = await adopt(plan, signal);
  if (adopted) return adopted;
  const end = performance.now() + inTheWayLimitMs;
  for (;;) {
    await clear(plan);
    const started = await start(plan, signal);
    if (typeof started !== 'string') return started;
    const inTheWay = /lock file ".*" already exists|pre-existing shared memory block/.test(started);
    if (!inTheWay || performance.now() > end || signal.aborted) {
      throw explainFailure('PostgreSQL did not start', started);
    }
    await sleepJittered(400, signal);
  }
}

/** Fast shutdown, then immediate, then by force. @throws AppError when it is still there */
export function bringDown(plan: Plan): Promise<void> {
  return endProcesses(
    plan.data,
    [
      { signal: 'SIGINT', limitMs: 15_000 },
      { signal: 'SIGQUIT', limitMs: 5_000 },
      { signal: 'SIGKILL', limitMs: 3_000 },
    ],
    plan.log,
  );
}

/** The end of PostgreSQL's own log. */
export function logTail(logFile: string, from = 0): string {
  const size = statSync(logFile).size;
  const buffer = Buffer.alloc(Math.min(8_192, Math.max(0, size - from)));
  const descriptor = openSync(logFile, 'r');
  try {
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
  } finally {
    closeSync(descriptor);
  }
  return buffer.toString('utf8');
}

async function adopt(plan: Plan, signal: AbortSignal): Promise<Running | undefined> {
  const { data, log } = plan;
  const pid = readPidFile(data)?.pid;
  if (pid === undefined || !isPostgresOf(pid, data)) return undefined;
  if (commandLineOf(pid) !== commandLine(plan).join('\0')) {
    log.info({ pid }, 'a PostgreSQL with other settings or binaries is running; it is restarted');
    return undefined;
  }
  const ready = await poll(
    readyLimitMs,
    10,
    () => {
      const status = isPostgresOf(pid, data) ? readPidFile(data)?.status : undefined;
      if (status === 'ready') return true;
      return status === 'starting' ? undefined : false;
    },
    signal,
  );
  if (!ready) return undefined;
  try {
    await checkAnswer(plan.connection);
  } catch (error) {
    log.warn({ err: error, pid }, 'a PostgreSQL is running that does not answer us; it is restarted');
    return undefined;
  }
  log.info({ pid }, 'adopted the PostgreSQL that was left running');
  const gone = poll(
    Number.POSITIVE_INFINITY,
    250,
    () => (isPostgresOf(pid, data) ? undefined : 'it is gone'),
    signal,
  ).then((how) => how ?? 'no longer watched');
  return { pid, adopted: true, gone };
}

/** Ends what is left of an earlier PostgreSQL and removes what it left lying. */
async function clear(plan: Plan): Promise<void> {
  const { data, connection } = plan;
  const pid = readPidFile(data)?.pid;
  if (pid !== undefined && isPostgresOf(pid, data)) await bringDown(plan);
  // Workers without a postmaster end by themselves as soon as they are idle.
  if (processesOf(data).length > 0) {
    const steps = [
      { signal: 0, limitMs: 500 },
      { signal: 'SIGQUIT', limitMs: 3_000 },
      { signal: 'SIGKILL', limitMs: 3_000 },
    ] as const;
    await endProcesses(data, steps, plan.log);
  }
  // PostgreSQL sees for itself that a process is dead; but it takes any living one with that id for its own kind.
  if (pid !== undefined && isAlive(pid)) rmSync(join(data, 'postmaster.pid'), { force: true });
  const socket = join(connection.host, `.s.PGSQL.${connection.port}`);
  for (const path of [socket, `${socket}.lock`]) rmSync(path, { force: true });
}

/** @returns PostgreSQL's words when it ended before it was ready */
async function start(plan: Plan, signal: AbortSignal): Promise<Running | string> {
  boundLog(plan.logFile);
  const logDescriptor = openSync(plan.logFile, 'a', 0o600);
  const from = statSync(plan.logFile).size;
  const lifetime = plan.endsWithUs ? ['setpriv', '--pdeathsig', 'INT', '--'] : [];
  const { argv, ...user } = asIdentity(plan.identity, [...lifetime, ...commandLine(plan)]);
  const [program = '', ...args] = argv;
  // A session of its own: a Ctrl-C at our terminal must not reach it before we have ended our work.
  const child = spawn(program, args, {
    ...user,
    cwd: '/',
    env: plan.binaries.env,
    detached: true,
    stdio: ['ignore', logDescriptor, logDescriptor],
  });
  closeSync(logDescriptor);
  plan.onWait?.();
  let ended: string | undefined;
  const gone = new Promise<string>((resolve) => {
    const end = (how: string) => {
      ended ??= how;
      resolve(how);
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, killer) => end(killer ? `signal ${killer}` : `exit status ${code}`));
  });
  const pid = child.pid ?? 0;
  const ready = await poll(
    readyLimitMs,
    5,
    () => {
      if (ended !== undefined) return false;
      const file = readPidFile(plan.data);
      return (file?.pid === pid && file.status === 'ready') || undefined;
    },
    signal,
  );
  if (ended !== undefined) return `${logTail(plan.logFile, from)}\n${ended}`;
  try {
    if (!ready) throw new AppError('database_unavailable', 'PostgreSQL was not ready in time');
    await checkAnswer(plan.connection);
  } catch (error) {
    await bringDown(plan);
    throw error;
  }
  return { pid, adopted: false, gone };
}

const commandLine = ({ binaries, data, connection, settings }: Plan) => [
  binaries.postgres,
  ...postgresArguments(data, connection.host, connection.port, settings),
];

function commandLineOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '');
}

/** Asks a question with our password; makes our database where it is not there yet. */
async function checkAnswer(connection: Connection): Promise<void> {
  try {
    await ask(connection, 'SELECT 1');
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '3D000') throw error;
    await ask(
      { ...connection, database: 'postgres' },
      `CREATE DATABASE ${pg.escapeIdentifier(connection.database)}`,
    );
  }
}

async function ask(connection: Connection, question: string): Promise<void> {
  const client = new pg.Client(
    clientConfig({ connection, applicationName: 'mission-control supervisor', timeoutMs: 10_000 }),
  );
  const failed = Promise.withResolvers<never>();
  client.on('error', failed.reject);
  try {
    await Promise.race([client.connect().then(() => client.query(question)), failed.promise]);
  } finally {
    await endClient(client);
  }
}

/** Keeps the log of the last starts: two files of which the older never grows. */
function boundLog(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > 1024 ** 2) renameSync(logFile, `${logFile}.old`);
}
