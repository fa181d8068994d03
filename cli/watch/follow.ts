import { setTimeout as sleep } from 'node:timers/promises';
import { follow as followLog, type StreamItem } from '../../client/follow.ts';
import { ApiProblem } from '../../client/problems.ts';
import { type CloudEvent, cloudEvent } from '../../contract/events.ts';
import type { Client } from '../client.ts';
import { CommandError, exitStatus } from '../exit-status.ts';

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
  let after = options.after;
  let lostAt: number | null = null;
  for (;;) {
    const connection = new AbortController();
    const both = AbortSignal.any([signal, connection.signal]);
    try {
      for await (const item of withIdle(
        parseItems(followLog(client.transport, { run, after, signal: both })),
      )) {
        if (item.kind === 'event') after = item.event.sequence;
        if (item.kind === 'connected') lostAt = null;
        if (item.kind === 'lost') lostAt = Date.now();
        refuseForever(client, lostAt);
        yield item;
      }
    } catch (error) {
      signal.throwIfAborted();
      // A server that is just starting again may not have written its new key yet.
      if (!(error instanceof ApiProblem) || lostAt === null) throw client.explain(error, `the log of ${run}`);
      await sleep(1_000, undefined, { signal });
      refuseForever(client, lostAt);
    } finally {
      connection.abort();
    }
    signal.throwIfAborted();
  }
}

function refuseForever(client: Client, lostAt: number | null): void {
  if (lostAt === null || Date.now() - lostAt <= patienceMs) return;
  throw new CommandError(
    exitStatus.unreachable,
    `Mission Control of ${client.home} has not answered for two minutes. If it has ended, start it with: mission up`,
  );
}

async function* parseItems(items: AsyncGenerator<StreamItem>): AsyncGenerator<FollowItem> {
  for await (const item of items) {
    if (item.kind === 'connected') yield { kind: 'connected', again: item.again };
    else if (item.kind === 'lost')
      yield { kind: 'lost', reason: 'the connection to Mission Control was lost' };
    else if (item.kind === 'live') yield { kind: 'live', seq: item.live.seq, text: item.live.text };
    else {
      // A newer server may tell of events that this version does not know: the next look shows what they did.
      const known = cloudEvent.safeParse(item.event);
      yield known.success ? { kind: 'event', event: known.data } : { kind: 'idle' };
    }
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
    // Both end with the connection; nobody waits for how. Without the second, items that rest between two reads
    // would never hear of it, and would hold the connection open.
    next.catch(() => undefined);
    items.return(undefined).catch(() => undefined);
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
