import type { ServerResponse } from 'node:http';
import type { StreamEndCode } from '../../contract/events.ts';
import type { Reader } from './event-follower.ts';

const keepAliveMs = 15_000;
/** What a reader that is cut has for taking the reason. */
const closeMs = 10_000;

/** An answer of server-sent events as a reader; the protocol is written in contract/events.ts. */
export class StreamReader implements Reader {
  readonly closed: AbortSignal;
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    const closed = new AbortController();
    this.closed = closed.signal;
    const keepAlive = setInterval(() => {
      if (response.writableLength === 0) response.write(': still here\n\n');
    }, keepAliveMs);
    response.on('close', () => {
      clearInterval(keepAlive);
      closed.abort();
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(': hello\n\n');
  }

  buffered(): number {
    return this.#response.writableLength;
  }

  send(frame: Buffer, sent?: () => void): void {
    if (this.closed.aborted || this.#response.writableEnded) sent?.();
    else if (sent === undefined) this.#response.write(frame);
    else this.#response.write(frame, () => sent());
  }

  end(code: StreamEndCode, detail: string): void {
    if (this.closed.aborted || this.#response.writableEnded) return;
    this.#response.end(`event: error\ndata: ${JSON.stringify({ code, detail })}\n\n`);
    const late = setTimeout(() => this.#response.destroy(), closeMs);
    this.closed.addEventListener('abort', () => clearTimeout(late), { once: true });
  }
}
