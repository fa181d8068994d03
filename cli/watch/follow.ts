import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type CloudEvent, cloudEvent } from '../../contract/events.ts';
import { liveText } from '../../contract/system.ts';
import type { Client } from '../client.ts';
import { CommandError, exitStatus } from '../exit-status.ts';
import { readServerSentEvents } from './server-sent-events.ts';

export type FollowItem =
  | { kind: 'event'; event: CloudEvent }
  | { kind: 'live'; seq: number; text: string }
  /** Nothing came for a while: a moment to look whether something was missed. */
  | { kind: 'idle' }
  | { kind: 'lost'; reason: string }
  | { kind: 'connected'; again: boolean };

/** Silence after which `idle` is told. */
const idleMs = 10_000;
/** Without a server for so long, following ends. */
const patienceMs = 120_000;

/**
 * What happens to one run from now on, or from a place in the log. A lost connection is taken up again where it
 * broke, so that no event is missed or told twice; live text of the time between is lost.
 * @throws CommandError `unreachable` when the server stays away for two minutes; the signal's reason
 */
export async function* follow(
  client: Client,
  options: { run: string; after: number; signal: AbortSignal },
): AsyncGenerator<FollowItem> {
  const { run, signal } = options;
  let cursor = options.after;
  let lostAt: number | null = null;
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    const connection = new AbortController();
    try {
      const both = AbortSignal.any([signal, connection.signal]);
      const response = await client.open(`/events/stream?after=${cursor}&run=${run}`, both, {
        accept: 'text/event-stream',
      });
      yield { kind: 'connected', again: lostAt !== null };
      lostAt = null;
      attempt = 0;
      if (response.body === null) throw new Error('the stream has no body');
      for await (const item of withIdle(parseItems(response.body))) {
        if (item.kind === 'event') cursor = item.event.sequence;
        yield item;
      }
    } catch (error) {
      signal.throwIfAborted();
      // A server that is just starting again may not have written its new key yet.
      if (isRefusal(error) && lostAt === null) throw error;
      if (lostAt !== null && Date.now() - lostAt > patienceMs) throw error;
    } finally {
      connection.abort();
    }
    if (lostAt === null) {
      lostAt = Date.now();
      yield { kind: 'lost', reason: 'the connection to Mission Control was lost' };
    }
    await sleep(Math.min(250 * 2 ** attempt, 5_000), undefined, { signal });
  }
}

async function* parseItems(body: AsyncIterable<Uint8Array>): AsyncGenerator<FollowItem> {
  for await (const { event, data } of readServerSentEvents(body)) {
    if (event === 'live') {
      const parsed = liveText.safeParse(JSON.parse(data));
      if (parsed.success) yield { kind: 'live', seq: parsed.data.seq, text: parsed.data.text };
      continue;
    }
    // A newer server may tell of events that this version does not know: the next look shows what they did.
    const parsed = z.union([cloudEvent, z.unknown().transform(() => null)]).parse(JSON.parse(data));
    yield parsed === null ? { kind: 'idle' } : { kind: 'event', event: parsed };
  }
}

async function* withIdle(items: AsyncGenerator<FollowItem>): AsyncGenerator<FollowItem> {
  let next = items.next();
  try {
    for (;;) {
      const first = await orIdle(next);
      if (first === null) {
        yield { kind: 'idle' };
        continue;
      }
      if (first.done) return;
      yield first.value;
      next = items.next();
    }
  } finally {
    // The read that is under way ends with the connection; nobody waits for how.
    next.catch(() => undefined);
  }
}

/** null where the promise has not settled after a while. */
async function orIdle<T>(promise: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const idle = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, idleMs, null);
  });
  try {
    return await Promise.race([promise, idle]);
  } finally {
    clearTimeout(timer);
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof CommandError && error.exit === exitStatus.refused;
}
