import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';

/** What came of asking for an upgrade: the socket, or the status with which it was refused. */
export type Upgrade =
  | { status: 101; socket: OpenSocket }
  | { status: number; socket: null; headers: IncomingMessage['headers'] };

export interface OpenSocket extends Disposable {
  /** Resolves when the other side has ended it, with performance.now(). */
  ended: Promise<number>;
  /** The frames that came, as text, control frames' bytes as well. */
  received(): string;
  /** Resolves when what came holds the text. */
  awaitText(text: string): Promise<void>;
  /** One text frame, as a client sends it. */
  send(text: string): void;
}

/** A WebSocket made by hand, so that a test can send what a browser would not. */
export function upgrade(url: string, headers: Record<string, string> = {}): Promise<Upgrade> {
  return new Promise((resolve, reject) => {
    const call: ClientRequest = request(url, {
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        ...headers,
      },
    });
    call.on('upgrade', (_response, socket, head) => {
      resolve({ status: 101, socket: open(socket as Socket, head) });
    });
    call.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, socket: null, headers: response.headers });
    });
    call.on('error', reject);
    call.end();
  });
}

function open(socket: Socket, head: Buffer): OpenSocket {
  const ended = Promise.withResolvers<number>();
  const watchers = new Set<() => void>();
  let text = head.toString('latin1');
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (const watch of watchers) watch();
  });
  socket.on('error', () => ended.resolve(performance.now()));
  socket.on('close', () => ended.resolve(performance.now()));
  return {
    ended: ended.promise,
    received: () => text,
    async awaitText(wanted) {
      const found = Promise.withResolvers<void>();
      const look = () => {
        if (text.includes(wanted)) found.resolve();
      };
      watchers.add(look);
      look();
      const limit = setTimeout(() => found.reject(new Error(`"${wanted}" did not come: ${text}`)), 20_000);
      await found.promise.finally(() => {
        clearTimeout(limit);
        watchers.delete(look);
      });
    },
    send(message) {
      const payload = Buffer.from(message);
      const mask = randomBytes(4);
      const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, masked]));
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
