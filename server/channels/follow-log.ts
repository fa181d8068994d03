import type { CloudEvent } from '../../contract/events.ts';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { EventFeed } from '../events/feed.ts';
import type { Logger } from '../log.ts';

/** Events that are for nobody move the cursor in steps of so many, so that reading costs no commits. */
const cursorStep = 500;
const retryMs = 1_000;

/** Follows the log from a durable cursor, over failures, until the signal aborts. */
export async function followLog(options: {
  feed: EventFeed;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** Who follows, for the log of failures. */
  name: string;
  readCursor: () => Promise<number>;
  isWanted: (event: CloudEvent) => boolean;
  /** Acts on the events and moves the cursor behind the last of them, in one transaction. */
  enqueue: (events: readonly CloudEvent[]) => Promise<unknown>;
}): Promise<void> {
  const { feed, clock, log, signal, name } = options;
  while (!signal.aborted) {
    try {
      let saved = await options.readCursor();
      for await (const events of feed.follow({ after: saved }, signal)) {
        const last = events.at(-1)?.sequence ?? saved;
        if (!events.some(options.isWanted) && last - saved < cursorStep) continue;
        await options.enqueue(events);
        saved = last;
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, `${name} cannot be enqueued now`);
      await clock.sleep(retryMs, signal);
    }
  }
}
