import type { CloudEvent } from '../../contract/events.ts';
import type { Database } from '../database/database.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { compileFilter, type EventFilter } from './filter.ts';
import { readEvents, readHead } from './read.ts';
import { entryOf, type LogEntry, Tail } from './tail.ts';

/** A notification that was lost costs at most this. */
const pollMs = 500;
const pageSize = 200;
const tailBounds = { entries: 2_000, characters: 8 * 1024 ** 2 };

/** Who is sent events by `deliver`. */
export interface EventSink {
  /** Takes the entries in their order and says how many it took: all of them, or until it is full. */
  take(entries: readonly LogEntry[]): number;
  /** Settles when it can take more. @throws what ends the delivery */
  room(): Promise<void>;
}

interface LiveFollower {
  cursor: number;
  fits: ((event: CloudEvent) => boolean) | undefined;
  sink: EventSink;
  leave: () => void;
}

/**
 * Follows the log for everybody in this process:
 *
 * 1. One connection hears of new numbers, and one read brings the new events into the tail.
 * 2. Who has seen everything up to the tail's end is live: what is new is pushed to all of them in one go,
 *    without a read, a promise or a timer of their own.
 * 3. Who is behind reads from the tail, or pages from the database where the tail does not reach back, as fast
 *    as they take them; then they are live. Who is full stops being live, so that nothing heaps up for them.
 */
export class EventFeed implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #followers = new Set<Signal>();
  readonly #live = new Set<LiveFollower>();
  /** There is something to read, or the connection that hears of it was lost meanwhile. */
  readonly #look = new Signal();
  #head = 0;
  #tail = new Tail(0, tailBounds);
  #listening: AsyncDisposable | undefined;
  #filling: Promise<void> | undefined;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  async start(): Promise<void> {
    this.#head = await readHead(this.#database);
    this.#tail = new Tail(this.#head, tailBounds);
    this.#listening = await this.#database.listen('events', (payload) => {
      this.#head = Math.max(this.#head, Number(payload));
      this.#look.raise();
    });
    this.#filling = this.#keepFilling();
  }

  /** The newest number known here. */
  get head(): number {
    return this.#head;
  }

  /** How many follow by `deliver` and are at the log's end. */
  get liveCount(): number {
    return this.#live.size;
  }

  /**
   * Every event after `after` that fits, in the log's order, in batches, until the signal aborts.
   * A reader that fails (the database is away) is tried again; nothing is skipped or repeated.
   */
  async *follow(query: { after: number } & EventFilter, signal: AbortSignal): AsyncGenerator<CloudEvent[]> {
    const news = new Signal();
    this.#followers.add(news);
    try {
      for await (const { entries } of this.#read(query, news, signal)) {
        if (entries.length > 0) yield entries.map(({ event }) => event);
      }
    } finally {
      this.#followers.delete(news);
    }
  }

  /** Hands every event after `after` that fits to the sink, until the signal aborts. @throws what the sink throws */
  async deliver(query: { after: number } & EventFilter, sink: EventSink, signal: AbortSignal): Promise<void> {
    const news = new Signal();
    const fits = compileFilter(query);
    let after = query.after;
    while (!signal.aborted && !this.#stop.signal.aborted) {
      this.#followers.add(news);
      try {
        for await (const { entries, cursor } of this.#read({ ...query, after }, news, signal)) {
          after = cursor;
          for (let taken = 0; taken < entries.length && !signal.aborted; ) {
            taken += sink.take(entries.slice(taken));
            if (taken < entries.length) await sink.room();
          }
          if (cursor >= this.#tail.end) break;
        }
      } finally {
        this.#followers.delete(news);
      }
      if (signal.aborted || after < this.#tail.end) continue;
      after = await this.#followLive({ cursor: after, fits, sink }, signal);
      if (!signal.aborted && !this.#stop.signal.aborted) await sink.room();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const follower of this.#followers) follower.raise();
    for (const follower of this.#live) follower.leave();
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#filling;
  }

  /** Batches of what fits after the query's place, each with the place up to which all was looked at. */
  async *#read(
    query: { after: number } & EventFilter,
    news: Signal,
    signal: AbortSignal,
  ): AsyncGenerator<{ entries: readonly LogEntry[]; cursor: number }> {
    const fits = compileFilter(query);
    let cursor = query.after;
    while (!signal.aborted && !this.#stop.signal.aborted) {
      if (this.#tail.covers(cursor)) {
        const all = this.#tail.after(cursor, pageSize);
        cursor = all.at(-1)?.event.sequence ?? cursor;
        yield { entries: fits === undefined ? all : all.filter(({ event }) => fits(event)), cursor };
        if (cursor >= this.#tail.end) await news.wait(pollMs, signal);
        continue;
      }
      const known = this.#tail.end;
      const events = await this.#readPage({ ...query, after: cursor });
      if (events === undefined) {
        await news.wait(pollMs, signal);
        continue;
      }
      cursor = events.length === pageSize ? (events.at(-1)?.sequence ?? cursor) : Math.max(cursor, known);
      // A page may reach beyond what was known when it was read.
      cursor = Math.max(cursor, events.at(-1)?.sequence ?? 0);
      yield { entries: events.map(entryOf), cursor };
    }
  }

  /** Until the sink is full, or the signal aborts. @returns the number up to which the sink has been given all */
  async #followLive(place: Omit<LiveFollower, 'leave'>, signal: AbortSignal): Promise<number> {
    const left = Promise.withResolvers<void>();
    const follower: LiveFollower = { ...place, leave: () => left.resolve() };
    this.#live.add(follower);
    signal.addEventListener('abort', follower.leave, { once: true });
    try {
      await left.promise;
      return follower.cursor;
    } finally {
      this.#live.delete(follower);
      signal.removeEventListener('abort', follower.leave);
    }
  }

  #push(entries: readonly LogEntry[]): void {
    const first = entries[0]?.event.sequence ?? 0;
    for (const follower of this.#live) {
      const { fits, sink, cursor } = follower;
      const fresh = cursor < first ? entries : entries.filter(({ event }) => event.sequence > cursor);
      const wanted = fits === undefined ? fresh : fresh.filter(({ event }) => fits(event));
      const taken = wanted.length === 0 ? 0 : sink.take(wanted);
      const last = (taken < wanted.length ? wanted[taken - 1] : fresh.at(-1))?.event.sequence;
      follower.cursor = Math.max(cursor, last ?? 0);
      if (taken < wanted.length) {
        this.#live.delete(follower);
        follower.leave();
      }
    }
  }

  async #keepFilling(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look.wait(pollMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      for (let more = true; more && !this.#stop.signal.aborted; ) {
        const events = await this.#readPage({ after: this.#tail.end });
        more = events !== undefined && events.length === pageSize;
        if (events === undefined || events.length === 0) continue;
        const entries = events.map(entryOf);
        this.#tail.append(entries);
        this.#head = Math.max(this.#head, this.#tail.end);
        this.#push(entries);
        for (const follower of this.#followers) follower.raise();
      }
    }
  }

  /** Undefined where the database is away. */
  async #readPage(query: { after: number } & EventFilter): Promise<CloudEvent[] | undefined> {
    try {
      return await readEvents(this.#database, { ...query, limit: pageSize });
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#log.warn({ error: messageOf(error) }, 'events cannot be read now');
      return undefined;
    }
  }
}
