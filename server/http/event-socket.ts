import type { WebSocket } from '@fastify/websocket';
import { streamEnds } from '../../contract/events.ts';
import type { Reader } from './event-follower.ts';

const pingMs = 10_000;
/** What a reader that is cut has for taking the reason. */
const closeMs = 10_000;

const asText = { binary: false } as const;

/** A WebSocket as a reader of events; the protocol is written in contract/events.ts. */
export class SocketReader implements Reader {
  readonly closed: AbortSignal;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, head: number) {
    this.#socket = socket;
    const closed = new AbortController();
    this.closed = closed.signal;
    const ping = setInterval(() => this.#ping(), pingMs);
    socket.on('close', () => {
      clearInterval(ping);
      closed.abort();
    });
    socket.on('error', () => closed.abort());
    socket.send(JSON.stringify({ type: 'hello', head }));
  }

  buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Buffer, sent?: () => void): void {
    if (!this.closed.aborted) this.#socket.send(frame, asText, sent);
    else sent?.();
  }

  end(code: keyof typeof streamEnds, detail: string): void {
    if (this.closed.aborted) return;
    this.#socket.close(streamEnds[code], detail);
    const late = setTimeout(() => this.#socket.terminate(), closeMs);
    this.closed.addEventListener('abort', () => clearTimeout(late), { once: true });
  }

  #ping(): void {
    if (!this.closed.aborted && this.#socket.bufferedAmount === 0) this.#socket.send('{"type":"ping"}');
  }
}
