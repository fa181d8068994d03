import { parseJson } from './problems.ts';
import { readServerSentEvents } from './server-sent-events.ts';
import type { Connection, Transport } from './transport.ts';

/** A message of the stream before its content is parsed. */
export type RawMessage =
  /** `head`: the newest number of the log, where it is told. */
  | { type: 'hello'; head: number | null }
  | { type: 'event'; event: unknown }
  | { type: 'live'; live: unknown };

/** The server pings every 10 s over a WebSocket, and writes a comment every 15 s otherwise. */
const socketSilenceMs = 22_000;
const streamSilenceMs = 40_000;
/** What may wait here to be taken; more, and the connection is given up until it is: its cursor resumes it. */
const mostWaiting = 10_000;

export interface Listening {
  signal: AbortSignal;
  /** Called with whatever comes, a sign of life alone as well. */
  heard: () => void;
}

/** The stream was cut because whoever reads it falls behind: nothing is lost, it resumes from its cursor. */
export class Behind extends Error {}

/**
 * One connection's messages over a WebSocket; returns where the server ends it.
 * @throws Error where it breaks, is silent, or is not read fast enough
 */
export async function* readSocket(
  connection: Connection,
  query: string,
  { signal, heard }: Listening,
): AsyncGenerator<RawMessage> {
  const socket = openSocket(connection, query);
  const waiting: RawMessage[] = [];
  let news = Promise.withResolvers<void>();
  let end: Error | 'ended' | null = null;
  const finish = (reason: Error | 'ended') => {
    end ??= reason;
    news.resolve();
  };
  let silence = setTimeout(() => finish(new Error('the server is silent')), socketSilenceMs);
  const onAbort = () => finish('ended');
  signal.addEventListener('abort', onAbort, { once: true });
  socket.addEventListener('message', ({ data }) => {
    heard();
    clearTimeout(silence);
    silence = setTimeout(() => finish(new Error('the server is silent')), socketSilenceMs);
    const message = typeof data === 'string' ? readMessage(data) : null;
    if (message === null) return;
    if (waiting.length >= mostWaiting) finish(new Behind('the reader fell behind'));
    else waiting.push(message);
    news.resolve();
  });
  socket.addEventListener('close', ({ code, reason }) =>
    finish(
      code === 1000 || code === 1001 ? 'ended' : new Error(reason === '' ? `closed with ${code}` : reason),
    ),
  );
  socket.addEventListener('error', () => finish(new Error('the connection failed')));
  try {
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (end !== null) break;
      else {
        await news.promise;
        news = Promise.withResolvers<void>();
      }
    }
    if (isError(end)) throw end;
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', onAbort);
    socket.close();
  }
}

/** The same over server-sent events. @throws as `readSocket`, and what `Transport.open` throws */
export async function* readStream(
  transport: Transport,
  query: string,
  { signal, heard }: Listening,
): AsyncGenerator<RawMessage> {
  const quiet = new AbortController();
  const end = () => quiet.abort(new Error('the server is silent'));
  let silence = setTimeout(end, streamSilenceMs);
  try {
    const response = await transport.open({
      method: 'GET',
      path: `/events/stream${query}`,
      headers: { accept: 'text/event-stream' },
      signal: AbortSignal.any([signal, quiet.signal]),
    });
    if (response.body === null) throw new Error('the stream has no body');
    yield { type: 'hello', head: null };
    const onChunk = () => {
      heard();
      clearTimeout(silence);
      silence = setTimeout(end, streamSilenceMs);
    };
    for await (const { event, data } of readServerSentEvents(chunksOf(response.body), onChunk)) {
      if (event === 'error') return;
      const value = parseJson(data);
      yield event === 'live' ? { type: 'live', live: value } : { type: 'event', event: value };
    }
  } finally {
    clearTimeout(silence);
    quiet.abort();
  }
}

/** Browsers do not all iterate over a stream by themselves. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

function openSocket(connection: Connection, query: string): WebSocket {
  const url = `${(connection.url === '' ? pageOrigin() : connection.url).replace(/^http/, 'ws')}/api/v1/events/stream${query}`;
  const { headers } = connection;
  // Node's takes headers; a page's sends its cookie.
  const socket: WebSocket = Reflect.construct(
    WebSocket,
    'process' in globalThis ? [url, { headers }] : [url],
  );
  return socket;
}

function pageOrigin(): string {
  const place: unknown = Reflect.get(globalThis, 'location');
  if (typeof place === 'object' && place !== null && 'origin' in place) return `${place.origin}`;
  throw new Error('a client outside of a page needs the address of its server: url');
}

function readMessage(text: string): RawMessage | null {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || !('type' in value)) return null;
  const message: { type: unknown; head?: unknown; event?: unknown; live?: unknown } = value;
  if (message.type === 'hello' && typeof message.head === 'number')
    return { type: 'hello', head: message.head };
  if (message.type === 'event') return { type: 'event', event: message.event };
  if (message.type === 'live') return { type: 'live', live: message.live };
  return null;
}

function isError(value: unknown): value is Error {
  return value instanceof Error;
}
