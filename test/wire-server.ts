import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Usage } from '../contract/steps.ts';
import { ConnectionCut, sendFrames, type WireReply } from '../server/models/wire-reply.ts';

/** What a server of ours is to answer, whichever protocol it speaks. */
export interface Said {
  text: string;
  toolCalls: { id: string; name: string; argumentsText: string }[];
  usage: Usage;
  /** Left out of the protocols that do not show it. */
  reasoning?: string;
  finish?: 'stop' | 'length' | 'refused';
}

/** One provider's protocol, as its service speaks it. */
export interface Protocol {
  /** What stands between the origin and the paths, such as `/v1`. */
  version: string;
  /** Undefined where address and key are right; else the refusal. */
  findRefusal(request: IncomingMessage, body: unknown): WireReply | undefined;
  answer(said: Said): WireReply;
  /** The provider's words for a failure, outside of an answer. */
  error(failure: Failure): WireReply;
  /** The same inside an answer that has begun, as a frame. */
  errorFrame(failure: Failure): string;
}

export type Failure =
  | 'slow down'
  | 'overloaded'
  | 'broken'
  | 'no credit'
  | 'wrong key'
  | 'no such model'
  | 'too long';

export interface WireServer extends AsyncDisposable {
  origin: string;
  /** For `baseURL` of the provider. */
  baseURL: string;
  requests: { body: unknown; headers: IncomingMessage['headers'] }[];
  /** Connections that were opened. */
  connections(): number;
}

export const wireKey = 'sk-test-0123456789abcdef';

/** Serves replies over real HTTP, or HTTPS with a certificate. */
export async function startWireServer(
  protocol: Protocol,
  respond: (body: unknown) => WireReply,
  tls?: { key: string; cert: string },
): Promise<WireServer> {
  const requests: WireServer['requests'] = [];
  const served: Promise<void>[] = [];
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    served.push(
      serveReply(request, response, (body) => {
        requests.push({ body, headers: request.headers });
        return protocol.findRefusal(request, body) ?? respond(body);
      }),
    );
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  server.on(tls ? 'secureConnection' : 'connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${port}`;
  return {
    origin,
    baseURL: origin + protocol.version,
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await Promise.all(served);
    },
  };
}

/** Answers one request with a reply's frames at their pace, and ends as the reply says. */
export async function serveReply(
  request: IncomingMessage,
  response: ServerResponse,
  respond: (body: unknown) => WireReply,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const content = await text(request);
  const reply = respond(content === '' ? undefined : JSON.parse(content));
  response.writeHead(reply.status, reply.headers);
  response.flushHeaders();
  try {
    for await (const frame of sendFrames(reply, gone.signal)) await send(response, frame);
    response.end();
  } catch (error) {
    if (error instanceof ConnectionCut) response.socket?.destroy();
    else if (!gone.signal.aborted) throw error;
  }
}

/** Settles when the frame has left, so that a cut takes nothing of it back. */
function send(response: ServerResponse, frame: string): Promise<void> {
  return new Promise((resolve) => response.write(frame, () => resolve()));
}

export type Break = 'cut' | 'hang' | 'close' | Failure;

/** An answer that goes wrong after its first `count` frames. */
export function breakAfter(protocol: Protocol, reply: WireReply, count: number, how: Break): WireReply {
  const frames = reply.frames.slice(0, count);
  const half = (reply.frames[count]?.text ?? 'data: {"').slice(0, 15);
  if (how === 'hang' || how === 'close') return { ...reply, frames, end: how };
  if (how === 'cut') return { ...reply, frames: [...frames, { text: half, delayMs: 0 }], end: 'cut' };
  return { ...reply, frames: [...frames, { text: protocol.errorFrame(how), delayMs: 0 }], end: 'close' };
}

export function streamOf(frames: string[]): WireReply {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream; charset=utf-8' },
    frames: frames.map((frame) => ({ text: frame, delayMs: 0 })),
    end: 'close',
  };
}

export function jsonReply(status: number, body: unknown, headers: Record<string, string> = {}): WireReply {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    frames: [{ text: JSON.stringify(body), delayMs: 0 }],
    end: 'close',
  };
}

export function chunksOf(said: string, size = 7): string[] {
  return Array.from({ length: Math.ceil(said.length / size) }, (_, at) =>
    said.slice(at * size, (at + 1) * size),
  );
}
