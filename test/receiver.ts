import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { within } from './start-app.ts';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver of webhooks on loopback, which keeps what it is sent. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: Received[];
  /** What it answers from now on. */
  answer(status: number, headers?: Record<string, string>): void;
  /** The first that fits, among those that came and those that come. */
  await(fits: (one: Received) => boolean, limitMs?: number): Promise<Received>;
}

/** @param port one that an earlier receiver had; 0 for any */
export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const listeners = new Set<() => void>();
  let reply: { status: number; headers: Record<string, string> } = { status: 204, headers: {} };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push({ path: request.url ?? '', headers: request.headers, body });
      response.writeHead(reply.status, reply.headers).end();
      for (const listener of listeners) listener();
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    answer: (status, headers = {}) => {
      reply = { status, headers };
    },
    async await(fits, limitMs = 30_000) {
      const found = Promise.withResolvers<Received>();
      const look = () => {
        const one = received.find(fits);
        if (one !== undefined) found.resolve(one);
      };
      listeners.add(look);
      look();
      try {
        return await within(limitMs, found.promise, () => `it did not come; there were ${received.length}`);
      } finally {
        listeners.delete(look);
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
