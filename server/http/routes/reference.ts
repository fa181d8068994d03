import { z } from 'zod';
import { may } from '../access.ts';
import { makeDocument, type OpenApiDocument } from '../openapi/document.ts';
import { renderReference } from '../openapi/reference.ts';
import type { ServedRoute } from '../openapi/routes.ts';
import type { Routes } from '../parts.ts';

const anyObject = z.record(z.string(), z.unknown());

/** What the API is, for programs and for people; nothing of it is private. */
export function referenceRoutes(routes: Routes, served: readonly ServedRoute[]): void {
  let document: OpenApiDocument | undefined;
  let page: string | undefined;

  routes.get('/openapi.json', { config: may('open'), schema: { response: { 200: anyObject } } }, async () => {
    document ??= makeDocument(served);
    return { ...document };
  });

  routes.get(
    '/reference',
    { config: { ...may('open'), produces: { 200: 'text/html' } } },
    async (_request, reply) => {
      document ??= makeDocument(served);
      page ??= renderReference(document);
      return reply.type('text/html; charset=utf-8').send(page);
    },
  );
}
