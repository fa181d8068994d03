import type { Readable } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ChangeDiff } from '../../contract/changes.ts';
import type { ModelView, TestedModel } from '../../contract/models.ts';
import type { Finding } from '../../contract/system.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import type { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import type { NotificationSettings } from '../domain/notifications/settings.ts';
import type { RunPresenter } from '../domain/runs/runs.ts';
import type { TaskDefaults } from '../domain/tasks/tasks.ts';
import type { EventFeed } from '../events/feed.ts';
import type { LiveChannel } from '../events/live.ts';
import type { Logger } from '../log.ts';
import { authenticate, refuseForeignHost } from './authentication.ts';
import { servePage } from './page.ts';
import { answerProblem } from './problems.ts';
import { askRoutes } from './routes/asks.ts';
import { attachmentRoutes } from './routes/attachments.ts';
import { backupRoutes } from './routes/backup.ts';
import { changeRoutes } from './routes/changes.ts';
import { eventRoutes } from './routes/events.ts';
import { haltRoutes } from './routes/halt.ts';
import { modelRoutes } from './routes/models.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { runRoutes } from './routes/runs.ts';
import { openSessionRoutes, sessionRoutes } from './routes/sessions.ts';
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
  doctor: (actor: Actor, options: { test: boolean }) => Promise<Finding[]>;
  /** All that the server knows, as a stream. */
  openBackup: (signal: AbortSignal) => Readable;
  notifications: {
    settings: NotificationSettings;
    test: (actor: Actor, name: string) => Promise<{ delivered: true; host: string }>;
  };
  models: {
    list: () => Promise<ModelView[]>;
    registry: ProviderRegistry;
    /** A short real call. */
    test: (actor: Actor, model: string) => Promise<TestedModel>;
  };
  /** Makes the sample repository and gives its task to the recorded model. */
  createSample: (actor: Actor) => Promise<CreatedTask>;
  /** The dashboard's built files. */
  pageFolder: string;
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
  servePage(server, parts.pageFolder);
  server.addHook('onRequest', async (request) => refuseForeignHost(request, parts.ownHosts));
  server.get('/api/v1/health', async () => ({ status: 'ok' }));
  void server.register(
    (scope, _options, done) => {
      openSessionRoutes(scope.withTypeProvider<ZodTypeProvider>(), parts);
      done();
    },
    { prefix: '/api/v1' },
  );
  void server.register(
    (scope, _options, done) => {
      const routes = scope.withTypeProvider<ZodTypeProvider>();
      routes.decorateRequest('actor', null as never);
      routes.addHook('onRequest', async (request) => {
        request.actor = await authenticate(parts.database, request);
      });
      sessionRoutes(routes, parts);
      taskRoutes(routes, parts);
      attachmentRoutes(routes, parts);
      runRoutes(routes, parts);
      askRoutes(routes, parts);
      changeRoutes(routes, parts);
      haltRoutes(routes, parts);
      eventRoutes(routes, parts);
      modelRoutes(routes, parts);
      notificationRoutes(routes, parts);
      backupRoutes(routes, parts);
      systemRoutes(routes, parts);
      done();
    },
    { prefix: '/api/v1' },
  );
  return server;
}
