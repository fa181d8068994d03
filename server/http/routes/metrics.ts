import { timingSafeEqual } from 'node:crypto';
import { requirePermission } from '../../domain/actor.ts';
import { may } from '../access.ts';
import { type Authentication, authenticate } from '../authentication.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** What Prometheus scrapes: with the scraper's own token, or as a principal who may read measurements. */
export function metricsRoute(
  routes: Routes,
  parts: Authentication & Pick<HttpParts, 'metrics' | 'metricsToken'>,
): void {
  const access = may('metrics:read');
  routes.decorateRequest('actor', null as never);
  routes.addHook('onRequest', async (request) => {
    if (isScraper(parts.metricsToken, request.headers.authorization)) return;
    request.actor = await authenticate(parts, request);
    requirePermission(request.actor, 'metrics:read');
  });
  routes.get(
    '/metrics',
    { config: { ...access, produces: { 200: 'text/plain' } } },
    async (_request, reply) => {
      const { type, text } = await parts.metrics.scrape();
      return reply.type(type).send(text);
    },
  );
}

function isScraper(token: string | null, header: string | undefined): boolean {
  if (token === null || header === undefined) return false;
  const [wanted, given] = [Buffer.from(`Bearer ${token}`), Buffer.from(header)];
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}
