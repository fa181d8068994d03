import websocket from '@fastify/websocket';
import { z } from 'zod';
import { readEvents } from '../../events/read.ts';
import { may } from '../access.ts';
import { type EventQuery, followOverSocket } from '../event-socket.ts';
import { EventStream } from '../event-stream.ts';
import { pageLimit } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

const filter = z.object({ run: z.string().optional(), task: z.string().optional() });
const streamQuery = filter.extend({ after: z.coerce.number().int().min(0).optional() });
const largestMessage = 4_096;

export function eventRoutes(routes: Routes, parts: HttpParts): void {
  const { database, feed } = parts;

  routes.get(
    '/events',
    {
      config: may('events:read'),
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

  void routes.register(websocket, { options: { maxPayload: largestMessage } });
  void routes.register((scope, _options, done) => {
    scope.route({
      method: 'GET',
      url: '/events/stream',
      config: may('events:read'),
      schema: { querystring: streamQuery },
      handler: async (request, reply) => {
        const query = streamQuery.parse(request.query);
        const resumed = Number(request.headers['last-event-id']);
        const after = query.after ?? (Number.isSafeInteger(resumed) && resumed >= 0 ? resumed : feed.head);
        reply.hijack();
        await sendEvents(parts, new EventStream(reply.raw, parts.stopping), { ...query, after });
      },
      wsHandler: (socket, request) => {
        const query = streamQuery.parse(request.query);
        void followOverSocket(parts, socket, { ...query, after: query.after ?? feed.head });
      },
    });
    done();
  });
}

async function sendEvents(parts: HttpParts, stream: EventStream, query: EventQuery): Promise<void> {
  const { run, task, after } = query;
  using _live = parts.live.watch((live) => {
    if (run === undefined || run === live.runId)
      stream.offer(`event: live\ndata: ${JSON.stringify(live)}\n\n`);
  });
  for await (const events of parts.feed.follow({ after, runId: run, taskId: task }, stream.closed)) {
    const text = events.map(
      (event) => `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    );
    await stream.write(text.join(''));
  }
  stream.end();
}
