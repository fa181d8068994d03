import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../telemetry/metrics.ts';

/** Tells of each request of the API how long it took and how it was answered; never by whom or about what. */
export function measureRequests(server: FastifyInstance, metrics: Metrics): void {
  server.decorateReply('problem', null);
  server.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    if (!request.url.startsWith('/api/')) return;
    if (reply.problem !== null) metrics.countProblem(reply.problem);
    // An open stream's time is its subscriber's.
    if (routeOptions.config.live === true && reply.problem === null) return;
    metrics.countRequest({
      method,
      // An address that nobody serves is whatever a stranger thought of.
      route: routeOptions.url ?? 'none',
      status: reply.statusCode,
      seconds: reply.elapsedTime / 1_000,
    });
  });
}
