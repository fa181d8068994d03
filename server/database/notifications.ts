import pg from 'pg';
import type { Logger } from '../log.ts';
import { isUnavailable, unavailable } from './database-errors.ts';
import { Link, StatementNames } from './link.ts';
import { clientConfig, endClient, type LinkSettings } from './link-settings.ts';
import { sleepJittered, within } from './waiting.ts';

type Handler = (payload: string) => void;

/** A connection that listens; `end` makes the next one be opened, and counts once. */
interface Listening {
  link: Link;
  end: (error: Error) => void;
}

/**
 * NOTIFY on any number of channels over one connection. A lost connection is opened again with jittered backoff
 * of a second at most, every channel is listened to again, and then every handler is called with '', since
 * something may have been missed. It connects when the first channel is asked for.
 */
export class Notifications {
  readonly #settings: LinkSettings;
  readonly #log: Logger;
  readonly #channels = new Map<string, Set<Handler>>();
  readonly #closing = new AbortController();
  #ready = Promise.withResolvers<Listening>();
  #current: Listening | undefined;
  #keeping: Promise<void> | undefined;

  constructor(settings: LinkSettings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Settles once PostgreSQL listens. @throws AppError `database_unavailable` when it does not within the limit */
  async listen(channel: string, onNotify: Handler): Promise<AsyncDisposable> {
    if (this.#closing.signal.aborted) throw unavailable(new Error('it is closed'));
    // One object a call, so that the same function may listen twice.
    const handler: Handler = (payload) => onNotify(payload);
    const handlers = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, handlers.add(handler));
    this.#keeping ??= this.#keepListening();
    try {
      await within(this.#settings.timeoutMs, this.#startListening(channel), this.#closing.signal);
    } catch (error) {
      this.#forget(channel, handler);
      throw isUnavailable(error) ? error : unavailable(error);
    }
    return {
      [Symbol.asyncDispose]: async () => {
        this.#forget(channel, handler);
        if (!this.#channels.has(channel)) await this.#stopListening(channel);
      },
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#channels.clear();
    await this.#keeping;
  }

  async #startListening(channel: string): Promise<void> {
    for (;;) {
      const listening = await this.#ready.promise;
      try {
        await listening.link.command(`LISTEN ${pg.escapeIdentifier(channel)}`);
        return;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        listening.end(error);
      }
    }
  }

  async #stopListening(channel: string): Promise<void> {
    try {
      await this.#current?.link.command(`UNLISTEN ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      this.#log.debug({ err: error, channel }, 'could not stop listening; the connection is lost');
    }
  }

  #forget(channel: string, handler: Handler): void {
    const handlers = this.#channels.get(channel);
    handlers?.delete(handler);
    if (handlers?.size === 0) this.#channels.delete(channel);
  }

  async #keepListening(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0, connections = 0; !signal.aborted; ) {
      try {
        await this.#listenOnce(connections > 0, () => {
          failures = 0;
          connections += 1;
        });
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        const level = failures === 1 ? 'warn' : 'debug';
        this.#log[level]({ err: error, failures }, 'the connection that listens is lost; it is opened again');
      }
      if (!signal.aborted) await sleepJittered(Math.min(1_000, 20 * 2 ** failures), signal);
    }
    // Who waits for it hears of the end by its own signal; with nobody waiting it must not count as unhandled.
    this.#ready.promise.catch(() => undefined);
    this.#ready.reject(unavailable(new Error('it is closed')));
  }

  /** One connection from its opening to its end; settles only by throwing, or when closing. */
  async #listenOnce(again: boolean, onReady: () => void): Promise<void> {
    const client = new pg.Client(clientConfig(this.#settings));
    const ended = Promise.withResolvers<Error>();
    const listening: Listening = {
      link: new Link(client, new StatementNames(0)),
      end: (error) => {
        listening.link.broken ??= error;
        if (this.#current === listening) {
          this.#current = undefined;
          this.#ready = Promise.withResolvers();
        }
        ended.resolve(error);
      },
    };
    const onClosing = () => listening.end(new Error('it is being closed'));
    client.on('error', listening.end);
    client.on('end', () => listening.end(new Error('the connection ended')));
    client.on('notification', ({ channel, payload }) => this.#hand(channel, payload ?? ''));
    this.#closing.signal.addEventListener('abort', onClosing);
    try {
      await client.connect();
      const channels = [...this.#channels.keys()];
      for (const channel of channels) await listening.link.command(`LISTEN ${pg.escapeIdentifier(channel)}`);
      this.#current = listening;
      this.#ready.resolve(listening);
      onReady();
      if (again) for (const channel of channels) this.#hand(channel, '');
      throw await ended.promise;
    } finally {
      this.#closing.signal.removeEventListener('abort', onClosing);
      listening.end(new Error('the connection ended'));
      await endClient(client);
    }
  }

  #hand(channel: string, payload: string): void {
    for (const handler of this.#channels.get(channel) ?? []) {
      try {
        handler(payload);
      } catch (error) {
        this.#log.error({ err: error, channel }, 'what listens to a channel failed');
      }
    }
  }
}
