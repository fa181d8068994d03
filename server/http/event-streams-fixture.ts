import { once } from 'node:events';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { CloudEvent, StreamMessage } from '../../contract/events.ts';
import type { Database } from '../database/database.ts';
import { type Actor, fullActor } from '../domain/actor.ts';
import { EventFeed } from '../events/feed.ts';
import { LiveChannel } from '../events/live.ts';
import { openLog } from '../log.ts';
import type { FollowerLimits } from './event-follower.ts';
import { eventRoutes } from './routes/events.ts';

const log = openLog('silent');
export const admin = fullActor({ id: 'prn_admin', name: 'ada', role: 'admin' });

export interface StreamServer extends AsyncDisposable {
  readonly url: string;
  readonly feed: EventFeed;
  readonly live: LiveChannel;
  /** Who asks from now on. */
  actor: Actor;
}

/** The addresses of the events alone, on a port of their own, without the walls before them. */
export async function startStreamServer(database: Database, limits?: FollowerLimits): Promise<StreamServer> {
  const stack = new AsyncDisposableStack();
  const feed = stack.use(new EventFeed({ database, log }));
  await feed.start();
  const live = stack.use(new LiveChannel({ database, log }));
  await live.start();
  const stopping = new AbortController();
  const server = Fastify({ forceCloseConnections: true });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  const made = { actor: admin };
  server.addHook('onRequest', async (request) => {
    request.actor = made.actor;
  });
  const parts = { database, feed, live, log, stopping: stopping.signal };
  eventRoutes(server.withTypeProvider<ZodTypeProvider>(), parts, limits);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  stack.defer(async () => {
    stopping.abort();
    await server.close();
  });
  return Object.assign(made, { url, feed, live, [Symbol.asyncDispose]: () => stack.disposeAsync() });
}

/** Messages of a WebSocket until it closes. */
export async function* readSocket(
  url: string,
  signal: AbortSignal,
): AsyncGenerator<StreamMessage, { code: number; reason: string }> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}`);
  const queue: StreamMessage[] = [];
  let news = Promise.withResolvers<void>();
  let end: { code: number; reason: string } | undefined;
  socket.addEventListener('message', ({ data }) => {
    queue.push(JSON.parse(String(data)));
    news.resolve();
  });
  socket.addEventListener('close', ({ code, reason }) => {
    end = { code, reason };
    news.resolve();
  });
  const onAbort = () => {
    end = { code: 0, reason: 'aborted' };
    news.resolve();
  };
  signal.addEventListener('abort', onAbort);
  try {
    for (;;) {
      const message = queue.shift();
      if (message !== undefined) yield message;
      else if (end !== undefined) return end;
      else {
        await news.promise;
        news = Promise.withResolvers();
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.close();
  }
}

/** Events of a stream of server-sent events, and what its end says. */
export async function* readStream(
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): AsyncGenerator<CloudEvent, string> {
  const response = await fetch(url, { headers, signal });
  if (response.body === null) throw new Error('the stream has no body');
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1] ?? '';
      if (/^event: error$/m.test(block)) return data;
      if (/^id: /m.test(block)) yield JSON.parse(data);
    }
  }
  return '';
}

/** A client that asks and then reads nothing until it is told to. */
export async function openStuckClient(url: string, head: readonly string[]) {
  const { hostname, port, pathname, search } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.pause();
  socket.write(
    [`GET ${pathname}${search} HTTP/1.1`, `Host: ${hostname}:${port}`, ...head, '', ''].join('\r\n'),
  );
  return {
    /** Everything that it was sent, to its end. */
    async readAll(): Promise<Buffer> {
      const chunks: Buffer[] = [];
      const closed = once(socket, 'close');
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        // A WebSocket's other end would have answered it.
        if (chunk.includes('resume from the last')) socket.end();
      });
      socket.resume();
      await closed;
      return Buffer.concat(chunks);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
