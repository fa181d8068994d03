import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { methodsAt, type ServedRoute } from './openapi/routes.ts';
import { makeProblem } from './problems.ts';

const policy = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Serves the dashboard: its built files, and the page itself for every address that is a view of it. */
export function servePage(server: FastifyInstance, folder: string, served: readonly ServedRoute[]): void {
  server.addHook('onSend', async (_request, reply) => {
    void reply.headers({
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });
  const built = existsSync(join(folder, 'index.html'));
  if (built) {
    void server.register(fastifyStatic, {
      root: folder,
      index: false,
      wildcard: false,
      preCompressed: true,
      setHeaders: (response, path) => {
        if (path.includes('/assets/'))
          response.header('cache-control', 'public, max-age=31536000, immutable');
      },
    });
  }
  server.setNotFoundHandler((request, reply) => {
    const methods = methodsAt(served, request.url.split('?')[0] ?? '');
    if (methods.length > 0) {
      const problem = makeProblem(
        'method_not_allowed',
        `${request.url} does not answer ${request.method}; it answers ${methods.join(', ')}.`,
      );
      reply.problem = 'method_not_allowed';
      return reply
        .status(405)
        .header('allow', methods.join(', '))
        .type('application/problem+json')
        .send({ ...problem, requestId: request.id });
    }
    const isView =
      request.method === 'GET' && !request.url.startsWith('/api/') && accepts(request.headers.accept);
    if (isView && built) return reply.header('cache-control', 'no-store').sendFile('index.html');
    const detail = isView
      ? 'The dashboard is not built: run `npm run setup` and restart. The API is under /api/v1.'
      : `There is nothing at ${request.method} ${request.url}.`;
    reply.problem = 'not_found';
    return reply
      .status(404)
      .type('application/problem+json')
      .send({ ...makeProblem('not_found', detail), requestId: request.id });
  });
}

function accepts(header: string | undefined): boolean {
  return header === undefined || header.includes('text/html') || header.includes('*/*');
}
