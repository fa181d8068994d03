import type { LiveText } from '../../contract/system.ts';
import type { LogEntry } from '../events/tail.ts';

/** The bytes that every follower of a kind is sent alike, made once and shared by all of their buffers. */
export class EventFrames {
  readonly #made = new WeakMap<LogEntry | LiveText, Buffer>();
  readonly #write: { entry: (entry: LogEntry) => string; live: (live: LiveText) => string };

  constructor(write: { entry: (entry: LogEntry) => string; live: (live: LiveText) => string }) {
    this.#write = write;
  }

  ofEntry(entry: LogEntry): Buffer {
    return this.#made.get(entry) ?? this.#keep(entry, this.#write.entry(entry));
  }

  ofLive(live: LiveText): Buffer {
    return this.#made.get(live) ?? this.#keep(live, this.#write.live(live));
  }

  #keep(source: LogEntry | LiveText, text: string): Buffer {
    const frame = Buffer.from(text);
    this.#made.set(source, frame);
    return frame;
  }
}

export const openSocketFrames = () =>
  new EventFrames({
    entry: ({ json }) => `{"type":"event","event":${json}}`,
    live: (live) => JSON.stringify({ type: 'live', live }),
  });

export const openStreamFrames = () =>
  new EventFrames({
    entry: ({ event, json }) => `id: ${event.sequence}\nevent: ${event.type}\ndata: ${json}\n\n`,
    live: (live) => `event: live\ndata: ${JSON.stringify(live)}\n\n`,
  });
