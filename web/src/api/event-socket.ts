import { z } from 'zod';
import { type CloudEvent, cloudEvent } from '../../../contract/events.ts';
import { type LiveText, liveText } from '../../../contract/system.ts';

export type Connection =
  | { phase: 'connecting' }
  | { phase: 'live' }
  /** `since`: milliseconds since 1970, when the server was last heard. */
  | { phase: 'lost'; since: number };

export interface StreamListener {
  event?: (event: CloudEvent) => void;
  live?: (live: LiveText) => void;
  /** Connected, for the first time or again: whatever was read before may be stale. */
  hello?: (head: number) => void;
  /** Something came that this page does not know; it reads everything again. */
  unknown?: () => void;
}

const frame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), head: z.number() }),
  z.object({ type: z.literal('event'), event: z.unknown() }),
  z.object({ type: z.literal('live'), live: z.unknown() }),
  z.object({ type: z.literal('ping') }),
]);

/** The server pings every 10 seconds; two that stay away mean that it is gone. */
const silenceMs = 22_000;
const slowestRetryMs = 5_000;

/**
 * The one stream of this page. It keeps the number of the last event, so that after a broken connection it
 * goes on where it stopped, and says since when the server was not heard.
 */
export class EventSocket {
  readonly #url: string;
  readonly #listeners = new Set<StreamListener>();
  readonly #watchers = new Set<() => void>();
  readonly #news = new Map<string, number>();
  #connection: Connection = { phase: 'connecting' };
  #socket: WebSocket | null = null;
  #cursor: number | null = null;
  #heardAt = Date.now();
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setInterval> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    if (this.#silence !== undefined) return;
    this.#silence = setInterval(() => this.#checkSilence(), 1_000);
    addEventListener('online', this.#hurry);
    document.addEventListener('visibilitychange', this.#hurry);
    this.#connect();
  }

  stop(): void {
    clearInterval(this.#silence);
    this.#silence = undefined;
    clearTimeout(this.#retry);
    removeEventListener('online', this.#hurry);
    document.removeEventListener('visibilitychange', this.#hurry);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
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

  readonly #hurry = (): void => {
    if (document.visibilityState === 'visible' && this.#socket === null && this.#silence !== undefined) {
      clearTimeout(this.#retry);
      this.#connect();
    }
  };

  #connect(): void {
    const after = this.#cursor === null ? '' : `?after=${this.#cursor}`;
    const socket = new WebSocket(`${this.#url}${after}`);
    this.#socket = socket;
    socket.addEventListener('message', (message) => {
      if (this.#socket !== socket || typeof message.data !== 'string') return;
      this.#heardAt = Date.now();
      this.#receive(message.data);
    });
    socket.addEventListener('close', () => {
      if (this.#socket === socket) this.#lose();
    });
  }

  #lose(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    if (this.#connection.phase !== 'lost') this.#become({ phase: 'lost', since: this.#heardAt });
    const delay = Math.min(slowestRetryMs, 300 * 2 ** this.#attempts) * (0.75 + Math.random() / 2);
    this.#attempts += 1;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), delay);
  }

  #checkSilence(): void {
    if (this.#socket !== null && Date.now() - this.#heardAt > silenceMs) {
      if (this.#connection.phase === 'live') this.#lose();
      else if (this.#socket.readyState === WebSocket.OPEN) this.#lose();
    }
  }

  #receive(text: string): void {
    const parsed = frame.safeParse(JSON.parse(text));
    if (!parsed.success) return;
    const { data } = parsed;
    if (data.type === 'hello') {
      this.#attempts = 0;
      this.#cursor ??= data.head;
      this.#become({ phase: 'live' });
      for (const listener of this.#listeners) listener.hello?.(data.head);
    }
    if (data.type === 'event') this.#receiveEvent(data.event);
    if (data.type === 'live') this.#receiveLive(data.live);
  }

  #receiveEvent(value: unknown): void {
    const event = cloudEvent.safeParse(value);
    if (!event.success) {
      for (const listener of this.#listeners) listener.unknown?.();
      return;
    }
    const { sequence, runid } = event.data;
    if (this.#cursor !== null && sequence <= this.#cursor) return;
    this.#cursor = sequence;
    if (runid !== undefined) this.#news.set(runid, Date.now());
    for (const listener of this.#listeners) listener.event?.(event.data);
  }

  #receiveLive(value: unknown): void {
    const live = liveText.safeParse(value);
    if (!live.success) return;
    this.#news.set(live.data.runId, Date.now());
    for (const listener of this.#listeners) listener.live?.(live.data);
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    for (const watcher of this.#watchers) watcher();
  }
}
