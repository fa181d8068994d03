import { z } from 'zod';
import { cloudEvent, eventsPage } from '../contract/events.ts';
import { type LiveText, liveText } from '../contract/system.ts';
import { ApiProblem } from './problems.ts';
import { Behind, type RawMessage, readSocket, readStream } from './stream-source.ts';
import { backoffMs, type Transport, wait } from './transport.ts';

/** An event as any server tells it: a newer one may know types that this version does not. */
export const anyEvent = cloudEvent.extend({ type: z.string() });
export type AnyEvent = z.infer<typeof anyEvent>;

export type StreamItem =
  /** `head`: the newest number of the log, where the server told it. */
  | { kind: 'connected'; again: boolean; head: number | null }
  | { kind: 'event'; event: AnyEvent }
  | { kind: 'live'; live: LiveText }
  /** Told once until it is connected again. */
  | { kind: 'lost'; reason: string };

export interface FollowOptions {
  /** The last `sequence` that was seen; from now on where it is not given. 0 for the whole log. */
  after?: number | undefined;
  /** Such as `task.*` or `run.failed`. */
  types?: readonly string[] | undefined;
  /** The entity, such as `task/task_…`. */
  subject?: string | undefined;
  project?: string | undefined;
  run?: string | undefined;
  task?: string | undefined;
  signal?: AbortSignal | undefined;
  /** By itself a WebSocket, and server-sent events where none comes about. */
  over?: 'websocket' | 'sse' | undefined;
  /** Called whenever the server is heard, a sign of life alone as well. */
  heard?: (() => void) | undefined;
  /** Is given what ends a wait for the next try, to be called when the network is back; returns how to forget it. */
  hurry?: ((tryNow: () => void) => () => void) | undefined;
}

/** So many failed sockets in a row, and the other way is tried: something between may not let them through. */
const socketTries = 2;
const slowestRetryMs = 5_000;

/**
 * The log from a place on, for as long as the reader wants. A connection that breaks is taken up again from the
 * last event that was given: none is missed or given twice, whoever cuts it and however often. Live text of the
 * time between is lost. Ends with the signal, without throwing.
 * @throws ApiProblem where the server refuses the key or the query
 */
export async function* follow(transport: Transport, options: FollowOptions = {}): AsyncGenerator<StreamItem> {
  const signal = options.signal ?? new AbortController().signal;
  const listening = { signal, heard: options.heard ?? (() => undefined) };
  let cursor = options.after;
  let failures = 0;
  let everConnected = false;
  let lost = false;
  while (!signal.aborted) {
    const overSocket =
      options.over === 'websocket' ||
      (options.over === undefined && 'WebSocket' in globalThis && failures % (socketTries * 2) < socketTries);
    let reason = 'the server ended the stream';
    let connected = false;
    try {
      cursor ??= overSocket ? undefined : await readHead(transport, signal);
      const query = queryOf(options, cursor);
      const messages = overSocket
        ? readSocket(await transport.connect(), query, listening)
        : readStream(transport, query, listening);
      for await (const message of messages) {
        // What came with the last one may not be wanted any more.
        if (signal.aborted) return;
        if (message.type === 'hello') {
          cursor ??= message.head ?? undefined;
          connected = true;
          failures = 0;
          lost = false;
          yield { kind: 'connected', again: everConnected, head: message.head };
          everConnected = true;
          continue;
        }
        const item = readItem(message, cursor);
        if (item?.kind === 'event') cursor = item.event.sequence;
        if (item !== null) yield item;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiProblem && isFinal(error)) throw error;
      reason = error instanceof Error ? error.message : String(error);
      if (error instanceof Behind) continue;
    }
    if (signal.aborted) return;
    if (!connected) await refuseFinally(transport, cursor, signal);
    if (!lost) yield { kind: 'lost', reason };
    lost = true;
    failures += 1;
    await rest(backoffMs(failures, slowestRetryMs), options);
  }
}

/** Ends early where the reader is in a hurry, or does not want any more. */
async function rest(ms: number, { signal, hurry }: FollowOptions): Promise<void> {
  const early = new AbortController();
  const forget = hurry?.(() => early.abort());
  const signals = signal === undefined ? [early.signal] : [early.signal, signal];
  try {
    await wait(ms, AbortSignal.any(signals));
  } catch (error) {
    if (!signals.some(({ aborted }) => aborted)) throw error;
  } finally {
    forget?.();
  }
}

/** Nothing of the type is trusted before it was parsed; what is no event is left out. */
function readItem(message: RawMessage, cursor: number | undefined): StreamItem | null {
  if (message.type === 'live') {
    const live = liveText.safeParse(message.live);
    return live.success ? { kind: 'live', live: live.data } : null;
  }
  if (message.type !== 'event') return null;
  const event = anyEvent.safeParse(message.event);
  if (!event.success || (cursor !== undefined && event.data.sequence <= cursor)) return null;
  return { kind: 'event', event: event.data };
}

/** A socket that was refused says no reason: a plain request does. */
async function refuseFinally(
  transport: Transport,
  cursor: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  try {
    await readHead(transport, signal, cursor);
  } catch (error) {
    if (error instanceof ApiProblem && isFinal(error)) throw error;
  }
}

async function readHead(transport: Transport, signal: AbortSignal, after = 0): Promise<number> {
  const path = `/events?after=${after}&limit=1`;
  return (await transport.request({ method: 'GET', path, signal }, headOnly)).head;
}

const headOnly = z.object({ head: eventsPage.shape.head });

function isFinal(problem: ApiProblem): boolean {
  return problem.status >= 400 && problem.status < 500 && problem.status !== 429 && problem.status !== 408;
}

function queryOf(options: FollowOptions, after: number | undefined): string {
  const query = new URLSearchParams();
  if (after !== undefined) query.set('after', `${after}`);
  if (options.types !== undefined) query.set('types', options.types.join(','));
  for (const name of ['subject', 'project', 'run', 'task'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  return `?${query}`;
}
