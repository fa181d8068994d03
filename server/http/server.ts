import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { authorise, may, requireAccess } from './access.ts';
import { authenticate, refuseForeignHost } from './authentication.ts';
import { servePage } from './page.ts';
import type { HttpParts } from './parts.ts';
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

/** The API. Every address but health needs a key; every failure is a problem document. */
export function buildHttpServer(parts: HttpParts): FastifyInstance {
  const server = Fastify({ logger: false, bodyLimit: 1024 * 1024, forceCloseConnections: true });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler(answerProblem(parts.log));
  servePage(server, parts.pageFolder);
  server.addHook('onRequest', async (request) => refuseForeignHost(request, parts.ownHosts));
  server.get('/api/v1/health', { config: may('open') }, async () => ({ status: 'ok' }));
  void server.register(
    (scope, _options, done) => {
      scope.addHook('onRoute', requireAccess);
      openSessionRoutes(scope.withTypeProvider<ZodTypeProvider>(), parts);
      done();
    },
    { prefix: '/api/v1' },
  );
  void server.register(
    (scope, _options, done) => {
      const routes = scope.withTypeProvider<ZodTypeProvider>();
      routes.addHook('onRoute', requireAccess);
      routes.decorateRequest('actor', null as never);
      routes.addHook('onRequest', async (request) => {
        request.actor = await authenticate(parts.database, request);
      });
      routes.addHook('onRequest', authorise);
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
