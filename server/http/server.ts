import type { RequestListener } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { authorise, requireAccess } from './access.ts';
import { authenticate } from './authentication.ts';
import { closeRefusedUpgrades } from './connections.ts';
import { tagAnswers } from './etag.ts';
import { guardChanges } from './idempotency.ts';
import { readJsonBodies } from './json-bodies.ts';
import { measureRequests } from './measure-requests.ts';
import { collectRoutes } from './openapi/routes.ts';
import { validateAnswers } from './openapi/validate-answers.ts';
import { servePage } from './page.ts';
import type { HttpParts } from './parts.ts';
import { answerProblem } from './problems.ts';
import { newRequestId, traceRequests } from './request-trace.ts';
import { agentRoutes } from './routes/agents.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { askRoutes } from './routes/asks.ts';
import { attachmentRoutes } from './routes/attachments.ts';
import { auditRoutes } from './routes/audit.ts';
import { backupRoutes } from './routes/backup.ts';
import { budgetRoutes } from './routes/budgets.ts';
import { changeRoutes } from './routes/changes.ts';
import { claimRoutes } from './routes/claims.ts';
import { credentialRoutes } from './routes/credentials.ts';
import { egressRoutes } from './routes/egress.ts';
import { eventRoutes } from './routes/events.ts';
import { haltRoutes } from './routes/halt.ts';
import { healthRoutes } from './routes/health.ts';
import { hookRoutes, openHookRoutes } from './routes/hooks.ts';
import { keyRoutes } from './routes/keys.ts';
import { limitRoutes } from './routes/limits.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelRoutes } from './routes/models.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { policyRoutes } from './routes/policies.ts';
import { principalRoutes } from './routes/principals.ts';
import { projectRoutes } from './routes/projects.ts';
import { referenceRoutes } from './routes/reference.ts';
import { runRoutes } from './routes/runs.ts';
import { openSessionRoutes, sessionRoutes } from './routes/sessions.ts';
import { systemRoutes } from './routes/system.ts';
import { taskRoutes } from './routes/tasks.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { closeSlowBodies } from './slow-bodies.ts';

/** The API. Every address but health needs a key; every failure is a problem document. */
export function buildHttpServer(parts: HttpParts): FastifyInstance {
  const { certificate, edge } = parts;
  const server = Fastify({
    logger: false,
    bodyLimit: 1024 * 1024,
    forceCloseConnections: true,
    genReqId: newRequestId,
    trustProxy: edge.trusts,
    ...(certificate === null
      ? {}
      : { serverFactory: (handler: RequestListener) => certificate.serve(handler) }),
  });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  readJsonBodies(server);
  server.setErrorHandler(answerProblem(parts.log));
  traceRequests(server, parts.tracing);
  measureRequests(server, parts.metrics);
  const served = collectRoutes(server);
  closeRefusedUpgrades(server);
  servePage(server, parts.pageFolder, served);
  server.addHook('onRequest', async (request) => parts.edge.admit(request));
  tagAnswers(server);
  server.addHook('onSend', async (_request, reply, payload) => {
    if (reply.statusCode !== 204) return payload;
    void reply.removeHeader('content-type');
    return '';
  });
  if (parts.validateAnswers) validateAnswers(server, served, parts.log);
  void server.register(
    (scope, _options, done) => {
      scope.addHook('onRoute', requireAccess);
      closeSlowBodies(scope);
      const routes = scope.withTypeProvider<ZodTypeProvider>();
      healthRoutes(routes, parts);
      openSessionRoutes(routes, parts);
      openHookRoutes(routes, parts);
      referenceRoutes(routes, served);
      done();
    },
    { prefix: '/api/v1' },
  );
  for (const prefix of ['/api/v1', '']) {
    void server.register(
      (scope, _options, done) => {
        scope.addHook('onRoute', requireAccess);
        metricsRoute(scope.withTypeProvider<ZodTypeProvider>(), parts);
        done();
      },
      { prefix },
    );
  }
  void server.register(
    (scope, _options, done) => {
      const routes = scope.withTypeProvider<ZodTypeProvider>();
      routes.addHook('onRoute', requireAccess);
      routes.decorateRequest('actor', null as never);
      routes.addHook('onRequest', async (request) => {
        request.actor = await authenticate(parts, request);
      });
      routes.addHook('onRequest', authorise(parts.database));
      routes.decorateRequest('openAnswer', null);
      routes.addHook('preHandler', parts.connections.admit);
      guardChanges(routes, parts);
      sessionRoutes(routes, parts);
      principalRoutes(routes, parts);
      keyRoutes(routes, parts);
      projectRoutes(routes, parts);
      agentRoutes(routes, parts);
      taskRoutes(routes, parts);
      claimRoutes(routes, parts);
      attachmentRoutes(routes, parts);
      artifactRoutes(routes, parts);
      runRoutes(routes, parts);
      askRoutes(routes, parts);
      policyRoutes(routes, parts);
      budgetRoutes(routes, parts);
      limitRoutes(routes, parts);
      changeRoutes(routes, parts);
      haltRoutes(routes, parts);
      eventRoutes(routes, parts);
      modelRoutes(routes, parts);
      credentialRoutes(routes, parts);
      egressRoutes(routes, parts);
      notificationRoutes(routes, parts);
      webhookRoutes(routes, parts);
      hookRoutes(routes, parts);
      auditRoutes(routes, parts);
      backupRoutes(routes, parts);
      systemRoutes(routes, parts);
      done();
    },
    { prefix: '/api/v1' },
  );
  return server;
}
