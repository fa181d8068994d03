import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ChangeDiff } from '../../contract/changes.ts';
import type { Finding } from '../../contract/system.ts';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import type { RunPresenter } from '../domain/runs/runs.ts';
import type { TaskDefaults } from '../domain/tasks/tasks.ts';
import type { EventFeed } from '../events/feed.ts';
import type { LiveChannel } from '../events/live.ts';
import type { Logger } from '../log.ts';
import { authenticate, refuseForeignHost } from './authentication.ts';
import { answerProblem, makeProblem } from './problems.ts';
import { askRoutes } from './routes/asks.ts';
import { changeRoutes } from './routes/changes.ts';
import { eventRoutes } from './routes/events.ts';
import { runRoutes } from './routes/runs.ts';
import { systemRoutes } from './routes/system.ts';
import { taskRoutes } from './routes/tasks.ts';

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor;
  }
}

/** What the routes call. */
export interface HttpParts {
  database: Database;
  feed: EventFeed;
  live: LiveChannel;
  artifacts: Artifacts;
  present: RunPresenter;
  defaults: TaskDefaults;
  version: string;
  log: Logger;
  now: () => number;
  readDiff: (change: { runId: string; base: string; commit: string }) => Promise<ChangeDiff>;
  doctor: () => Promise<Finding[]>;
  ownHosts: ReadonlySet<string>;
  /** Aborted when the server stops, so that streams end. */
  stopping: AbortSignal;
}

export type Routes = FastifyInstance<
  import('fastify').RawServerDefault,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  import('fastify').FastifyBaseLogger,
  ZodTypeProvider
>;

/** The API. Every address but health needs a key; every failure is a problem document. */
export function buildHttpServer(parts: HttpParts): FastifyInstance {
  const server = Fastify({ logger: false, bodyLimit: 1024 * 1024, forceCloseConnections: true });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler(answerProblem(parts.log));
  server.setNotFoundHandler((request, reply) => {
    void reply
      .status(404)
      .type('application/problem+json')
      .send(makeProblem('not_found', `There is nothing at ${request.method} ${request.url}.`));
  });
  server.addHook('onRequest', async (request) => refuseForeignHost(request, parts.ownHosts));
  server.get('/api/v1/health', async () => ({ status: 'ok' }));
  void server.register(
    (scope, _options, done) => {
      const routes = scope.withTypeProvider<ZodTypeProvider>();
      routes.decorateRequest('actor', null as never);
      routes.addHook('onRequest', async (request) => {
        request.actor = await authenticate(parts.database, request);
      });
      taskRoutes(routes, parts);
      runRoutes(routes, parts);
      askRoutes(routes, parts);
      changeRoutes(routes, parts);
      eventRoutes(routes, parts);
      systemRoutes(routes, parts);
      done();
    },
    { prefix: '/api/v1' },
  );
  return server;
}
