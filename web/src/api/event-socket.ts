import { type AnyEvent, follow } from '../../../client/follow.ts';
import type { Transport } from '../../../client/transport.ts';
import { type CloudEvent, cloudEvent } from '../../../contract/events.ts';
import type { LiveText } from '../../../contract/system.ts';

export type Connection =
  | { phase: 'connecting' }
  | { phase: 'live' }
  /** `since`: milliseconds since 1970, when the server was last heard. */
  | { phase: 'lost'; since: number };

export interface StreamListener {
  event?: (event: CloudEvent) => void;
  live?: (live: LiveText) => void;
  /** Connected, for the first time or again: whatever was read before may be stale. */
  hello?: () => void;
  /** Something came that this page does not know; it reads everything again. */
  unknown?: () => void;
}

/** How long after a refusal the stream is tried again: the session's own query leads to the login meanwhile. */
const refusedMs = 5_000;

/**
 * The one stream of this page, shared by all who listen. It keeps the number of the last event, so that after a
 * broken connection it goes on where it stopped, and says since when the server was not heard.
 */
export class EventSocket {
  readonly #transport: Transport;
  readonly #listeners = new Set<StreamListener>();
  readonly #watchers = new Set<() => void>();
  readonly #news = new Map<string, number>();
  #connection: Connection = { phase: 'connecting' };
  #cursor: number | null = null;
  #heardAt = Date.now();
  #running: AbortController | null = null;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  start(): void {
    if (this.#running !== null) return;
    this.#running = new AbortController();
    void this.#run(this.#running.signal);
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
    this.#become({ phase: 'connecting' });
  }

  get connection(): Connection {
    return this.#connection;
  }

  get cursor(): number | null {
    return this.#cursor;
  }

  /** When this page last heard something of a run, or undefined. Milliseconds since 1970. */
  newsOf(runId: string): number | undefined {
    return this.#news.get(runId);
  }

  listen(listener: StreamListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For `useSyncExternalStore`: called where the connection has changed. */
  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        console.warn('the event stream was refused', error);
        if (!signal.aborted) this.#lose();
        await pause(refusedMs);
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const heard = () => {
      this.#heardAt = Date.now();
    };
    const after = this.#cursor ?? undefined;
    for await (const item of follow(this.#transport, { after, signal, heard, hurry: whenBack })) {
      if (signal.aborted) return;
      if (item.kind === 'connected') {
        this.#cursor ??= item.head;
        this.#become({ phase: 'live' });
        for (const listener of this.#listeners) listener.hello?.();
      } else if (item.kind === 'lost') this.#lose();
      else if (item.kind === 'event') this.#receive(item.event);
      else {
        this.#news.set(item.live.runId, Date.now());
        for (const listener of this.#listeners) listener.live?.(item.live);
      }
    }
  }

  #lose(): void {
    if (this.#connection.phase !== 'lost') this.#become({ phase: 'lost', since: this.#heardAt });
  }

  #receive(value: AnyEvent): void {
    this.#cursor = value.sequence;
    const event = cloudEvent.safeParse(value);
    if (!event.success) {
      for (const listener of this.#listeners) listener.unknown?.();
      return;
    }
    const { runid } = event.data;
    if (runid !== undefined) this.#news.set(runid, Date.now());
    for (const listener of this.#listeners) listener.event?.(event.data);
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    for (const watcher of this.#watchers) watcher();
  }
}

/** The network is back, or somebody looks at the page again: no reason to wait for the next try. */
function whenBack(tryNow: () => void): () => void {
  const look = () => {
    if (document.visibilityState === 'visible') tryNow();
  };
  addEventListener('online', look);
  document.addEventListener('visibilitychange', look);
  return () => {
    removeEventListener('online', look);
    document.removeEventListener('visibilitychange', look);
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
