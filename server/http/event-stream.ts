import type { ServerResponse } from 'node:http';
import type { StreamEndCode } from '../../contract/events.ts';
import type { Reader } from './event-follower.ts';
import type { Beating, Pulse } from './pulse.ts';

export const keepAliveMs = 15_000;
/** What a reader that is cut has for taking the reason. */
const closeMs = 10_000;

/** An answer of server-sent events as a reader; the protocol is written in contract/events.ts. */
export class StreamReader implements Reader, Beating {
  readonly #response: ServerResponse;
  #late: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onClose called once, when nothing reaches the reader any more */
  constructor(response: ServerResponse, { pulse, onClose }: { pulse: Pulse; onClose: () => void }) {
    this.#response = response;
    pulse.join(this);
    response.on('close', () => {
      this.#closed = true;
      pulse.leave(this);
      clearTimeout(this.#late);
      onClose();
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
    if (this.#closed || this.#response.writableEnded) sent?.();
    else if (sent === undefined) this.#response.write(frame);
    else this.#response.write(frame, () => sent());
  }

  end(code: StreamEndCode, detail: string): void {
    if (this.#closed || this.#response.writableEnded) return;
    this.#response.end(`event: error\ndata: ${JSON.stringify({ code, detail })}\n\n`);
    this.#late = setTimeout(() => this.#response.destroy(), closeMs);
  }

  beat(): void {
    if (!this.#closed && this.#response.writableLength === 0) this.#response.write(': still here\n\n');
  }
}
