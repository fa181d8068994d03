import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

const keepAliveMs = 15_000;

/** One reader's server-sent events: written no faster than it reads, alive while it is silent. */
export class EventStream {
  readonly closed: AbortSignal;
  readonly #response: ServerResponse;
  readonly #keepAlive: NodeJS.Timeout;

  constructor(response: ServerResponse, stopping: AbortSignal) {
    this.#response = response;
    const closed = new AbortController();
    response.on('close', () => closed.abort());
    this.closed = AbortSignal.any([closed.signal, stopping]);
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(': hello\n\n');
    this.#keepAlive = setInterval(() => this.offer(': still here\n\n'), keepAliveMs);
  }

  async write(text: string): Promise<void> {
    if (this.closed.aborted || this.#response.write(text)) return;
    try {
      await once(this.#response, 'drain', { signal: this.closed });
    } catch (error) {
      if (!this.closed.aborted) throw error;
    }
  }

  /** Dropped where the reader is behind: live text may be lost, events may not. */
  offer(text: string): void {
    if (!this.closed.aborted && !this.#response.writableNeedDrain) this.#response.write(text);
  }

  end(): void {
    clearInterval(this.#keepAlive);
    this.#response.end();
  }
}
