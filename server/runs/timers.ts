import type { Clock } from '../clock.ts';
import type { Database, Queryable, Transaction } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { AppError, messageOf } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';

export type TimerKind = 'agent.silence' | 'ask.deadline' | 'run.reminder' | 'task.deadline' | 'task.reminder';

/** Sets a deadline, in the transaction of what it belongs to; a later one for the same thing replaces it. */
export async function setTimer(
  transaction: Queryable,
  timer: { kind: TimerKind; ref: string; dueAt: number },
): Promise<void> {
  await transaction.many(
    sql`INSERT INTO timers (id, due_at, kind, ref)
        VALUES (${newId('tmr')}, ${new Date(timer.dueAt).toISOString()}::timestamptz, ${timer.kind}, ${timer.ref})
        ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at`,
  );
}

/** What happens when a timer is due, in the transaction that takes it away: exactly once. */
export type TimerHandlers = Record<TimerKind, (transaction: Transaction, ref: string) => Promise<void>>;

const pollMs = 1_000;
const putOffMs = 60_000;

interface Timer {
  id: string;
  kind: TimerKind;
  ref: string;
}

/** Fires timers by the injected clock. Any number of processes may run it: each timer is taken by one. */
export class Timers implements AsyncDisposable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #handlers: TimerHandlers;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(options: { database: Database; clock: Clock; log: Logger; handlers: TimerHandlers }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#handlers = options.handlers;
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const wait = new Signal();
    while (!this.#stop.signal.aborted) {
      try {
        while (await this.fireOne()) if (this.#stop.signal.aborted) return;
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, 'timers cannot be fired now');
      }
      await wait.wait(pollMs, this.#stop.signal);
    }
  }

  /** Fires one due timer, or puts it off where its handler fails. False where none is due. */
  async fireOne(): Promise<boolean> {
    const now = new Date(this.#clock.now()).toISOString();
    let taken: Timer | undefined;
    try {
      return await this.#database.transaction('timers.fire', async (transaction) => {
        taken = await transaction.maybe<Timer>(
          sql`DELETE FROM timers WHERE id = (SELECT id FROM timers WHERE due_at <= ${now}::timestamptz
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, kind, ref`,
        );
        if (taken === undefined) return false;
        await this.#handlers[taken.kind](transaction, taken.ref);
        return true;
      });
    } catch (error) {
      const away = error instanceof AppError && error.code === 'database_unavailable';
      if (taken === undefined || away) throw error;
      await this.#putOff(taken, error);
      return true;
    }
  }

  /** A timer that cannot be fired must not keep the later ones waiting. */
  async #putOff(timer: Timer, error: unknown): Promise<void> {
    this.#log.error({ timer, error: messageOf(error) }, 'a timer failed; it is fired again later');
    const later = new Date(this.#clock.now() + putOffMs).toISOString();
    await this.#database.write(
      'timers.put_off',
      sql`UPDATE timers SET due_at = ${later}::timestamptz WHERE id = ${timer.id} AND due_at < ${later}::timestamptz`,
    );
  }
}
