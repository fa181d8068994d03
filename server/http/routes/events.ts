import websocket from '@fastify/websocket';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { eventStreamQuery, eventsPage, eventsQuery } from '../../../contract/events.ts';
import type { LiveText } from '../../../contract/system.ts';
import type { Actor } from '../../domain/actor.ts';
import { readEvents } from '../../events/read.ts';
import { RunPlaces } from '../../events/run-places.ts';
import type { LogEntry } from '../../events/tail.ts';
import { may } from '../access.ts';
import { type FollowerLimits, type Reader, sendEvents } from '../event-follower.ts';
import { type EventFrames, openSocketFrames, openStreamFrames } from '../event-frames.ts';
import { filterFor, liveTextTest } from '../event-query.ts';
import { SocketReader } from '../event-socket.ts';
import { StreamReader } from '../event-stream.ts';
import type { HttpParts, Routes } from '../parts.ts';

const largestMessage = 4_096;

type Parts = Pick<HttpParts, 'database' | 'feed' | 'live' | 'log' | 'stopping'>;

/** @param limits of what one reader may leave unread */
export function eventRoutes(routes: Routes, parts: Parts, limits?: FollowerLimits): void {
  const { database, feed } = parts;

  routes.get(
    '/events',
    { config: may('events:read'), schema: { querystring: eventsQuery, response: { 200: eventsPage } } },
    async ({ query, actor }) => {
      const { limit, since, until } = query;
      const after = Math.max(query.after ?? 0, query.cursor ?? 0);
      const filter = filterFor(actor, query);
      const items = await readEvents(database, { ...filter, after, since, until, limit });
      const last = items.length === limit ? items.at(-1) : undefined;
      return { items, nextCursor: last === undefined ? null : String(last.sequence), head: feed.head };
    },
  );

  void routes.register(websocket, { options: { maxPayload: largestMessage } });
  void routes.register((plain, _options, done) => {
    const scope = plain.withTypeProvider<ZodTypeProvider>();
    const places = new RunPlaces(parts);
    const socketFrames = openSocketFrames();
    const streamFrames = openStreamFrames();
    const follow = (
      reader: Reader,
      frames: EventFrames,
      asked: { actor: Actor; ended: AbortSignal | null; query: StreamQuery; after: number },
    ) => {
      const filter = filterFor(asked.actor, asked.query);
      const wanted = {
        after: asked.after,
        filter,
        entryFrame: (entry: LogEntry) => frames.ofEntry(entry),
        liveFrame: (live: LiveText) => frames.ofLive(live),
        isForReader: liveTextTest(asked.actor, asked.query, filter, places),
        ended: asked.ended,
      };
      return sendEvents(parts, reader, wanted, limits);
    };
    scope.route({
      method: 'GET',
      url: '/events/stream',
      config: { ...may('events:read'), live: true },
      schema: { querystring: eventStreamQuery },
      handler: async (request, reply) => {
        const query = request.query;
        const resumed = Number(request.headers['last-event-id']);
        const after = query.after ?? (Number.isSafeInteger(resumed) && resumed >= 0 ? resumed : feed.head);
        const { actor, ended = null } = request;
        reply.hijack();
        await follow(new StreamReader(reply.raw), streamFrames, { actor, ended, query, after });
      },
      wsHandler: (socket, request) => {
        const query = request.query;
        const { actor, ended = null } = request;
        const after = query.after ?? feed.head;
        void follow(new SocketReader(socket, feed.head), socketFrames, { actor, ended, query, after });
      },
    });
    done();
  });
}

type StreamQuery = z.output<typeof eventStreamQuery>;
