import type { CloudEvent, EventType } from '../../contract/events.ts';
import type { Waiting } from '../../contract/waiting.ts';
import type { Clock } from '../clock.ts';
import { withCommitHook } from '../database/commit-hook.ts';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase } from '../database/test-database.ts';
import { type Actor, fullActor } from '../domain/actor.ts';
import { registerAgent } from '../domain/principals/principals.ts';
import { RunPresenter } from '../domain/runs/runs.ts';
import { createTask } from '../domain/tasks/tasks.ts';
import { EventFeed } from '../events/feed.ts';
import { Sequencer } from '../events/sequencer.ts';
import { openLog } from '../log.ts';

export const operator: Actor = fullActor({ id: 'prn_operator', name: 'olga', role: 'operator' });
export const presenter = new RunPresenter(() => ({ recording: true }));

/** Time that moves when told to: the wall's and the monotonic clock apart. */
export class VirtualClock implements Clock {
  wall = Date.UTC(2030, 0, 1, 22);
  steady = 0;
  readonly #sleepers = new Set<{ until: number; wake: () => void }>();

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return this.steady;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    const slept = Promise.withResolvers<void>();
    const sleeper = { until: this.steady + ms, wake: slept.resolve };
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', () => slept.resolve(), { once: true });
    return slept.promise.finally(() => this.#sleepers.delete(sleeper));
  }

  advance(ms: number): void {
    this.wall += ms;
    this.steady += ms;
    for (const sleeper of this.#sleepers) if (sleeper.until <= this.steady) sleeper.wake();
  }
}

interface SeedOptions {
  now?: number;
  limitTokens?: number;
  limitMicros?: number;
  dayLimitMicros?: number;
  agent?: string;
}

/** A task with its queued run, as a person's request makes it. */
export async function seedRun(
  database: Database,
  options: SeedOptions = {},
): Promise<{ runId: string; taskId: string }> {
  const { now = Date.now(), agent = 'developer' } = options;
  await registerAgent(database, {
    name: agent,
    role: 'developer',
    prompt: 'Work.',
    model: 'recorded/test',
    playbook: 'coder',
    policy: [],
  });
  const { task, run } = await createTask(
    {
      database,
      present: presenter,
      now: () => now,
      defaults: {
        agent,
        runLimitMicros: options.limitMicros ?? 1_000_000,
        runLimitTokens: options.limitTokens ?? 1_000_000,
        dayLimitMicros: options.dayLimitMicros ?? 100_000_000,
      },
    },
    operator,
    { instructions: 'Mend it.', repository: '/srv/repository' },
  );
  return { runId: run.id, taskId: task.id };
}

export interface RunRow {
  status: string;
  wakeAt: string | null;
  wakeCount: number;
  workerId: string | null;
  token: number;
  heartbeat: number;
  failures: number;
  outcome: string | null;
  waiting: Waiting | null;
}

export const readRun = (database: Database, runId: string): Promise<RunRow> =>
  database.one<RunRow>(
    sql`SELECT status, wake_at AS "wakeAt", wake_count AS "wakeCount", worker_id AS "workerId",
          lease_token AS token, heartbeat, failures, outcome, waiting FROM runs WHERE id = ${runId}`,
  );

/** Every event type of a run so far, numbered or not. */
export async function eventTypesOf(database: Database, runId: string): Promise<string[]> {
  const rows = await database.many<{ type: string }>(
    sql`SELECT type FROM (
          SELECT type, sequence AS place, 0 AS part FROM events WHERE run_id = ${runId}
          UNION ALL SELECT type, position, 1 FROM event_outbox WHERE run_id = ${runId}) AS told
        ORDER BY part, place`,
  );
  return rows.map((row) => row.type);
}

export const waitingOn = (on: Waiting['on']): Waiting => ({
  on,
  ref: null,
  reason: 'a test waits',
  owner: 'olga',
  deadline: '2030-01-02T00:00:00.000Z',
  atDeadline: 'remind',
});

/** A test database whose log is numbered and followed, so that a test can await what happens. */
export class Told implements AsyncDisposable {
  readonly database: Database;
  readonly #stack: AsyncDisposableStack;
  readonly #feed: EventFeed;

  private constructor(database: Database, feed: EventFeed, stack: AsyncDisposableStack) {
    this.database = database;
    this.#feed = feed;
    this.#stack = stack;
  }

  static async open(): Promise<Told> {
    await using stack = new AsyncDisposableStack();
    const log = openLog('silent');
    const home = stack.use(await createTestDatabase({ poolSize: 16 }));
    const sequencer = stack.use(new Sequencer({ database: home.database, log }));
    const database = withCommitHook(home.database, () => sequencer.poke());
    const feed = stack.use(new EventFeed({ database, log }));
    await feed.start();
    return new Told(database, feed, stack.move());
  }

  /** Resolves when the run's log holds so many events of the type; fails after 10 s. */
  async until(runId: string, type: EventType, count = 1): Promise<CloudEvent> {
    let seen = 0;
    const stop = AbortSignal.timeout(10_000);
    for await (const events of this.#feed.follow({ after: 0, runId }, stop)) {
      for (const event of events) {
        if (event.type === type) seen += 1;
        if (event.type === type && seen === count) return event;
      }
    }
    throw new Error(`${runId} came to ${seen} ${type}, not ${count}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
