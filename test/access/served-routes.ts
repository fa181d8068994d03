import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance } from 'fastify';
import type { Access } from '../../server/http/access.ts';

export interface SeenRoute {
  /** `GET /api/v1/tasks/:id` */
  name: string;
  method: string;
  url: string;
  access: Access | undefined;
  live: boolean;
}

/** A request with this header goes as far as its handler, and no further: who gets 299 was let in. */
export const probeHeader = 'x-probe-access';

/**
 * Sees every route that servers of this process register from now on, in whatever scope and under whatever prefix.
 * It hears of the real server from the framework itself, so that nothing can be served beside it.
 */
export function watchRoutes(): Disposable & { routes: SeenRoute[] } {
  const routes: SeenRoute[] = [];
  const watch = (message: unknown) => {
    const { fastify: server } = message as { fastify: FastifyInstance };
    server.addHook('onRoute', ({ method: methods, url, config }) => {
      for (const method of [methods].flat()) {
        if (method === 'HEAD' || method === 'OPTIONS') continue;
        const name = `${method} ${url}`;
        routes.push({ name, method, url, access: config?.access, live: config?.live === true });
      }
    });
    server.addHook('preParsing', async (request, reply) => {
      if (request.headers[probeHeader] === undefined) return;
      reply.hijack();
      reply.raw.writeHead(299).end();
    });
  };
  subscribe('fastify.initialization', watch);
  return { routes, [Symbol.dispose]: () => void unsubscribe('fastify.initialization', watch) };
}
