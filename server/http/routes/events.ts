import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { readEvents } from '../../events/read.ts';
import { pageLimit } from '../lists.ts';
import type { HttpParts, Routes } from '../server.ts';

const filter = z.object({ run: z.string().optional(), task: z.string().optional() });
const keepAliveMs = 15_000;

export function eventRoutes(routes: Routes, parts: HttpParts): void {
  const { database, feed } = parts;

  routes.get(
    '/events',
    {
      schema: {
        querystring: filter.extend({ after: z.coerce.number().int().min(0).default(0), limit: pageLimit }),
      },
    },
    async ({ query }) => ({
      items: await readEvents(database, {
        after: query.after,
        limit: query.limit,
        runId: query.run,
        taskId: query.task,
      }),
      head: feed.head,
    }),
  );

  routes.get(
    '/events/stream',
    { schema: { querystring: filter.extend({ after: z.coerce.number().int().min(0).optional() }) } },
    async (request, reply) => {
      const { run, task } = request.query;
      const resumed = Number(request.headers['last-event-id']);
      const after =
        request.query.after ?? (Number.isSafeInteger(resumed) && resumed >= 0 ? resumed : feed.head);
      reply.hijack();
      const stream = new EventStream(reply.raw, parts.stopping);
      using _live = parts.live.watch((live) => {
        if (run === undefined || run === live.runId)
          stream.offer(`event: live\ndata: ${JSON.stringify(live)}\n\n`);
      });
      for await (const events of feed.follow({ after, runId: run, taskId: task }, stream.closed)) {
        const text = events.map(
          (event) => `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
        );
        await stream.write(text.join(''));
      }
      stream.end();
    },
  );
}

/** One reader's server-sent events: written no faster than it reads, alive while it is silent. */
class EventStream {
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
