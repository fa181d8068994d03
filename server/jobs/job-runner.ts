import { EventEmitter } from 'node:events';
import {
  Logger as JobLogger,
  type Runner,
  run,
  runMigrations,
  type TaskList,
  type WorkerEvents,
} from 'graphile-worker';
import pg from 'pg';
import type { Connection } from '../database/connection.ts';
import type { Database } from '../database/database.ts';
import { clientConfig } from '../database/link-settings.ts';
import { sql } from '../database/sql.ts';
import type { Logger } from '../log.ts';

/** One try of one job. Throwing has it tried again, with backoff, while tries are left. */
export type JobHandler = (
  payload: unknown,
  attempt: { number: number; last: boolean; signal: AbortSignal },
) => Promise<void>;

export interface JobRunnerOptions {
  connection: string | Connection;
  database: Database;
  log: Logger;
  /** The name that jobs are taken under; unique. */
  id: string;
  /** How this process is written down, and whether one that was is known to be dead. */
  identity: string;
  isDead: (identity: string) => boolean;
  handlers: Record<string, JobHandler>;
  /** Lines of a crontab, such as `30 3 * * * janitor`. */
  crontab: string;
}

const concurrency = 3;
const pollMs = 2_000;
const stopLimitMs = 15_000;

/** Makes what the jobs' tables need; harmless where they stand already. Before anything is enqueued. */
export async function installJobs(connection: string | Connection, log: Logger): Promise<void> {
  const pool = openPool(connection, log, 2);
  try {
    await runMigrations({ pgPool: pool, logger: jobLogger(log) });
  } finally {
    await pool.end();
  }
}

/**
 * Runs the slow jobs on graphile-worker, in this process, on the same database. Its name is written down
 * before it takes a job, so that whoever starts after a crash can free what a dead process had taken.
 */
export class JobRunner implements AsyncDisposable {
  readonly #options: JobRunnerOptions;
  readonly #pool: pg.Pool;
  #runner: Runner | undefined;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
    // One more listens for new jobs.
    this.#pool = openPool(options.connection, options.log, concurrency + 1);
  }

  async start(): Promise<void> {
    const { database, handlers, crontab, id, identity, log } = this.#options;
    await freeDeadTakers(this.#options);
    await database.write(
      'jobs.start',
      sql`INSERT INTO job_workers (id, process) VALUES (${id}, ${identity})`,
    );
    const events: WorkerEvents = new EventEmitter();
    // Jobs are taken under the pool's name, which would be one that nobody can know before it takes the first.
    events.on('pool:create', ({ workerPool }) => {
      workerPool.id = id;
    });
    this.#runner = await run({
      pgPool: this.#pool,
      logger: jobLogger(log),
      events,
      concurrency,
      noHandleSignals: true,
      pollInterval: pollMs,
      gracefulShutdownAbortTimeout: stopLimitMs,
      taskList: toTasks(handlers),
      crontab,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { database, id } = this.#options;
    await this.#runner?.stop();
    await this.#pool.end();
    await database.write('jobs.stop', sql`DELETE FROM job_workers WHERE id = ${id}`);
  }
}

/** Jobs that a process held when it died are free again; only a process of this machine is known to be dead. */
async function freeDeadTakers({ database, isDead, log }: JobRunnerOptions): Promise<void> {
  const rows = await database.many<{ id: string; process: string }>(sql`SELECT id, process FROM job_workers`);
  const dead = rows.filter((row) => isDead(row.process)).map((row) => row.id);
  if (dead.length === 0) return;
  await database.transaction('jobs.free', async (transaction) => {
    await transaction.many(sql`SELECT graphile_worker.force_unlock_workers(${dead}::text[])`);
    await transaction.many(sql`DELETE FROM job_workers WHERE id = ANY(${dead}::text[])`);
  });
  log.info({ dead }, 'jobs of a process that died are free again');
}

function openPool(connection: string | Connection, log: Logger, max: number): pg.Pool {
  const config = clientConfig({ connection, applicationName: 'mission-control jobs', timeoutMs: 30_000 });
  const pool = new pg.Pool({ ...config, max });
  const onError = (error: Error) => log.debug({ err: error }, 'a connection of the jobs broke');
  pool.on('error', onError);
  pool.on('connect', (client) => void client.on('error', onError));
  return pool;
}

function toTasks(handlers: Record<string, JobHandler>): TaskList {
  return Object.fromEntries(
    Object.entries(handlers).map(([name, handle]) => [
      name,
      async (payload, { job, abortSignal }) => {
        const { attempts, max_attempts: most } = job;
        await handle(payload, {
          number: attempts,
          last: attempts >= most,
          signal: abortSignal ?? new AbortController().signal,
        });
      },
    ]),
  );
}

/** Its own words are for debugging; what a job's failure means is said by its handler. */
function jobLogger(log: Logger): JobLogger {
  return new JobLogger(() => (level, message) => {
    log[level === 'error' || level === 'warning' ? 'warn' : 'trace']({ part: 'jobs' }, message);
  });
}
