import websocket from '@fastify/websocket';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { eventStreamQuery, eventsPage, eventsQuery } from '../../../contract/events.ts';
import type { Actor } from '../../domain/actor.ts';
import { readEvents } from '../../events/read.ts';
import { RunPlaces } from '../../events/run-places.ts';
import { may } from '../access.ts';
import type { OpenAnswer } from '../connections.ts';
import { type FollowerLimits, type Reader, sendEvents } from '../event-follower.ts';
import { type EventFrames, openSocketFrames, openStreamFrames } from '../event-frames.ts';
import { filterFor, liveTextTest, shareTypes } from '../event-query.ts';
import { pingMs, SocketReader } from '../event-socket.ts';
import { keepAliveMs, StreamReader } from '../event-stream.ts';
import type { HttpParts, Routes } from '../parts.ts';
import { Pulse } from '../pulse.ts';

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
    const pings = new Pulse(pingMs);
    const keepAlives = new Pulse(keepAliveMs);
    const following = endTogether(parts.stopping);
    const shared = shareTypes();
    const follow = async (asked: Asked, frames: EventFrames, open: (onClose: () => void) => Reader) => {
      const { actor, query, after, openAnswer } = asked;
      const filter = shared(filterFor(actor, query));
      const isForReader = liveTextTest(actor, query, filter, places);
      const over = new AbortController();
      const reader = open(() => over.abort());
      following.add(over);
      if (parts.stopping.aborted) over.abort();
      try {
        await sendEvents(parts, reader, { after, filter, frames, isForReader, openAnswer }, over, limits);
      } finally {
        following.delete(over);
      }
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
        const { actor, openAnswer = null } = request;
        reply.hijack();
        await follow(
          { actor, query, after, openAnswer },
          streamFrames,
          (onClose) => new StreamReader(reply.raw, { pulse: keepAlives, onClose }),
        );
      },
      wsHandler: (socket, request) => {
        const query = request.query;
        const { actor, openAnswer = null } = request;
        const { head } = feed;
        openAnswer?.forgetRequest();
        void follow(
          { actor, query, after: query.after ?? head, openAnswer },
          socketFrames,
          (onClose) => new SocketReader(socket, { head, pulse: pings, onClose }),
        );
      },
    });
    done();
  });
}

interface Asked {
  actor: Actor;
  query: z.output<typeof eventStreamQuery>;
  after: number;
  openAnswer: OpenAnswer | null;
}

/** Whatever is in the set when the signal aborts, does so too: one listener, where each its own costs more than it. */
function endTogether(signal: AbortSignal): Set<AbortController> {
  const all = new Set<AbortController>();
  signal.addEventListener('abort', () => {
    for (const one of all) one.abort();
  });
  return all;
}
