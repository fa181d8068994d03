import type { StreamEndCode } from '../../contract/events.ts';
import type { LiveText } from '../../contract/system.ts';
import { messageOf } from '../errors.ts';
import type { EventFeed, EventSink } from '../events/feed.ts';
import type { EventFilter } from '../events/filter.ts';
import type { LiveChannel } from '../events/live.ts';
import type { Logger } from '../log.ts';
import type { OpenAnswer } from './connections.ts';
import type { EventFrames } from './event-frames.ts';

export interface FollowerLimits {
  /** What may lie unsent for one reader before nothing more is given to it. */
  bufferedBytes: number;
  /** How long it may take a full buffer to drain. */
  stallMs: number;
}

export const followerLimits: FollowerLimits = { bufferedBytes: 512 * 1024, stallMs: 15_000 };
/** Live text is left out where more than this is unsent. */
const liveBufferedBytes = 64 * 1024;

/** One reader's connection: a socket, or an answer that stays open. */
export interface Reader {
  /** Bytes that were sent here and not yet taken by the system. */
  buffered(): number;
  /** @param sent is called when the frame, and so all before it, has left */
  send(frame: Buffer, sent?: () => void): void;
  /** Tells why, and closes. */
  end(code: StreamEndCode, detail: string): void;
}

class TooSlow extends Error {}

export interface Followed {
  after: number;
  filter: EventFilter;
  frames: EventFrames;
  /** Null where no live text is for it. */
  isForReader: ((live: LiveText) => boolean) | null;
  /** What may say that the reader must go. */
  openAnswer: OpenAnswer | null;
}

/**
 * Sends a reader its events at the reader's own pace, and cuts one that takes nothing.
 * @param over aborted when the reader is gone or the server stops
 */
export async function sendEvents(
  parts: { feed: EventFeed; live: LiveChannel; log: Logger },
  reader: Reader,
  { after, filter, frames, isForReader, openAnswer }: Followed,
  over: AbortController,
  limits: FollowerLimits = followerLimits,
): Promise<void> {
  const { feed, live, log } = parts;
  const { signal } = over;
  openAnswer?.watch(() => over.abort());
  using _live =
    isForReader === null
      ? null
      : live.watch((text) => {
          if (!signal.aborted && reader.buffered() < liveBufferedBytes && isForReader(text))
            reader.send(frames.ofLive(text));
        });
  try {
    await feed.deliver({ ...filter, after }, sinkOf(reader, frames, limits, signal), signal);
    const reason = openAnswer?.reason ?? null;
    if (reason !== null) reader.end('ended', reason);
    else reader.end('stopping', 'the server is stopping: connect again');
  } catch (error) {
    if (error instanceof TooSlow) {
      reader.end('too_slow', 'too slow: resume from the last sequence that you saw');
    } else {
      log.warn({ error: messageOf(error) }, 'a follower of the events failed');
      reader.end('failed', 'a failure of ours: resume from the last sequence that you saw');
    }
  }
}

function sinkOf(reader: Reader, frames: EventFrames, limits: FollowerLimits, signal: AbortSignal): EventSink {
  /** Until the frame that filled the buffer has left, and all before it. */
  let full: Promise<void> | undefined;
  return {
    take(entries) {
      for (const [index, entry] of entries.entries()) {
        if (full !== undefined) return index;
        const frame = frames.ofEntry(entry);
        if (reader.buffered() + frame.length < limits.bufferedBytes) {
          reader.send(frame);
          continue;
        }
        const left = Promise.withResolvers<void>();
        full = left.promise;
        reader.send(frame, () => {
          full = undefined;
          left.resolve();
        });
      }
      return entries.length;
    },
    room: () => settleWithin(full ?? Promise.resolve(), limits.stallMs, signal),
  };
}

/** @throws TooSlow when the promise takes longer */
async function settleWithin(promise: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => late.reject(new TooSlow('the reader takes nothing')), ms);
  const onAbort = () => late.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
