import type { CloudEvent } from '../../contract/events.ts';
import type { Database } from '../database/database.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { type EventFilter, readEvents, readHead } from './read.ts';

const pollMs = 1_000;
const pageSize = 200;

/**
 * Follows the log for everybody in this process: one connection hears of new numbers, each follower reads
 * from its own cursor. A lost notification costs at most the poll.
 */
export class EventFeed implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #followers = new Set<Signal>();
  /** The connection that hears of news was lost meanwhile: look at once. */
  readonly #look = new Signal();
  #head = 0;
  #listening: AsyncDisposable | undefined;
  #polling: Promise<void> | undefined;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  async start(): Promise<void> {
    this.#head = await readHead(this.#database);
    this.#listening = await this.#database.listen('events', (payload) => {
      const head = Number(payload);
      if (payload === '') this.#look.raise();
      else if (head > this.#head) this.#advance(head);
    });
    this.#polling = this.#poll();
  }

  /** The newest number known here. */
  get head(): number {
    return this.#head;
  }

  /**
   * Every event after `after` that fits, in the log's order, in batches, until the signal aborts.
   * A reader that fails (the database is away) is tried again; nothing is skipped or repeated.
   */
  async *follow(query: { after: number } & EventFilter, signal: AbortSignal): AsyncGenerator<CloudEvent[]> {
    const news = new Signal();
    this.#followers.add(news);
    try {
      let cursor = query.after;
      while (!signal.aborted && !this.#stop.signal.aborted) {
        const known = this.#head;
        const events = await this.#read({ ...query, after: cursor });
        if (events !== undefined) cursor = cursorAfter(events, Math.max(cursor, known));
        if (events !== undefined && events.length > 0) yield events;
        else if (events === undefined || this.#head <= cursor) await news.wait(pollMs, signal);
      }
    } finally {
      this.#followers.delete(news);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const follower of this.#followers) follower.raise();
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#polling;
  }

  /** Undefined where the database is away. */
  async #read(query: { after: number } & EventFilter): Promise<CloudEvent[] | undefined> {
    try {
      return await readEvents(this.#database, { ...query, limit: pageSize });
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, 'events cannot be read now');
      return undefined;
    }
  }

  async #poll(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look.wait(pollMs, this.#stop.signal);
      try {
        const head = await readHead(this.#database);
        if (head > this.#head) this.#advance(head);
      } catch (error) {
        this.#log.debug({ error: messageOf(error) }, 'the log cannot be polled now');
      }
    }
  }

  #advance(head: number): void {
    this.#head = head;
    for (const follower of this.#followers) follower.raise();
  }
}

/** After a full page the last event's number; after a shorter one everything up to `known` was seen. */
function cursorAfter(events: CloudEvent[], known: number): number {
  const last = events.at(-1)?.sequence ?? 0;
  return events.length === pageSize ? last : Math.max(known, last);
}
