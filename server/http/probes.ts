import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../errors.ts';
import { requireAccess } from './access.ts';
import type { Authentication } from './authentication.ts';
import { measureRequests } from './measure-requests.ts';
import type { HttpParts } from './parts.ts';
import { answerProblem } from './problems.ts';
import { newRequestId, traceRequests } from './request-trace.ts';
import { healthRoutes } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';

export type ProbeParts = Authentication &
  Pick<HttpParts, 'edge' | 'examine' | 'log' | 'metrics' | 'metricsToken' | 'tracing' | 'version'>;

/** What whoever watches asks of a process that has no API: the same answers, at the same addresses and shorter. */
export function buildProbeServer(parts: ProbeParts): FastifyInstance {
  const server = Fastify({ logger: false, forceCloseConnections: true, genReqId: newRequestId });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler(answerProblem(parts.log));
  traceRequests(server, parts.tracing);
  measureRequests(server, parts.metrics);
  server.addHook('onRequest', async (request) => parts.edge.admit(request));
  server.setNotFoundHandler(() => {
    throw new AppError('not_found', 'This process answers /health, /ready, /version and /metrics alone.');
  });
  for (const prefix of ['/api/v1', '']) {
    for (const add of [healthRoutes, metricsRoute]) {
      void server.register(
        (scope, _options, done) => {
          scope.addHook('onRoute', requireAccess);
          add(scope.withTypeProvider<ZodTypeProvider>(), parts);
          done();
        },
        { prefix },
      );
    }
  }
  return server;
}
