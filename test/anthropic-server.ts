import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Responder } from '../server/models/recorded-model.ts';
import { ConnectionCut, sendFrames, writeError } from '../server/models/wire-reply.ts';

export interface AnthropicServer extends AsyncDisposable {
  /** For `baseURL` of the provider. */
  baseURL: string;
  /** Bodies of the requests so far, parsed. */
  requests: unknown[];
}

export const anthropicServerKey = 'sk-test';

/** Anthropic's Messages protocol on loopback: the real provider is spoken to over real HTTP. */
export async function startAnthropicServer(respond: Responder): Promise<AnthropicServer> {
  const requests: unknown[] = [];
  const served: Promise<void>[] = [];
  const server = createServer((request, response) => {
    served.push(
      serve(request, response, (body) => {
        requests.push(body);
        return respond(body);
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await Promise.all(served);
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, respond: Responder): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const body: unknown = JSON.parse(await text(request));
  const reply = findRefusal(request) ?? respond(body);
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

function findRefusal({ method, url, headers }: IncomingMessage) {
  if (method !== 'POST' || url !== '/v1/messages')
    return writeError(404, 'not_found_error', `no route ${url}`);
  if (headers['x-api-key'] !== anthropicServerKey) {
    return writeError(401, 'authentication_error', 'invalid x-api-key');
  }
  return undefined;
}
