import type { WebSocket } from '@fastify/websocket';
import { streamEnds } from '../../contract/events.ts';
import type { Reader } from './event-follower.ts';
import type { Beating, Pulse } from './pulse.ts';

export const pingMs = 10_000;
/** What a reader that is cut has for taking the reason. */
const closeMs = 10_000;

const asText = { binary: false } as const;

/** A WebSocket as a reader of events; the protocol is written in contract/events.ts. */
export class SocketReader implements Reader, Beating {
  readonly #socket: WebSocket;
  #late: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onClose called once, when nothing reaches the reader any more */
  constructor(
    socket: WebSocket,
    { head, pulse, onClose }: { head: number; pulse: Pulse; onClose: () => void },
  ) {
    this.#socket = socket;
    pulse.join(this);
    const close = () => {
      if (this.#closed) return;
      this.#closed = true;
      pulse.leave(this);
      clearTimeout(this.#late);
      onClose();
    };
    socket.on('close', close);
    // Who listens before us holds the whole request for as long as the socket lives.
    socket.removeAllListeners('error');
    socket.on('error', () => {
      close();
      socket.terminate();
    });
    socket.send(JSON.stringify({ type: 'hello', head }));
  }

  buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Buffer, sent?: () => void): void {
    if (!this.#closed) this.#socket.send(frame, asText, sent);
    else sent?.();
  }

  end(code: keyof typeof streamEnds, detail: string): void {
    if (this.#closed) return;
    this.#socket.close(streamEnds[code], detail);
    this.#late = setTimeout(() => this.#socket.terminate(), closeMs);
  }

  beat(): void {
    if (!this.#closed && this.#socket.bufferedAmount === 0) this.#socket.send('{"type":"ping"}');
  }
}
