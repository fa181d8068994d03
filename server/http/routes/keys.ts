import { z } from 'zod';
import { createdKey, createKeyBody, keyView } from '../../../contract/principals.ts';
import { createKey, listKeys, revokeKey } from '../../domain/principals/keys.ts';
import { may } from '../access.ts';
import { idParams, listOf } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function keyRoutes(routes: Routes, { database }: HttpParts): void {
  routes.get(
    '/keys',
    {
      config: may('keys:own'),
      schema: {
        querystring: z.object({
          principal: z.string().optional(),
          /** Revoked and expired ones as well. */
          all: z.enum(['true', 'false']).default('false'),
        }),
        response: { 200: listOf(keyView) },
      },
    },
    async ({ actor, query }) => ({
      items: await listKeys(database, actor, { principal: query.principal, all: query.all === 'true' }),
    }),
  );

  routes.post(
    '/keys',
    {
      config: { ...may('keys:own'), secretAnswer: true },
      schema: { body: createKeyBody, response: { 201: createdKey } },
    },
    async ({ actor, body }, reply) =>
      reply
        .status(201)
        .header('cache-control', 'no-store')
        .send(await createKey(database, actor, body)),
  );

  routes.delete(
    '/keys/:id',
    { config: may('keys:own'), schema: { params: idParams, response: { 204: z.null() } } },
    async ({ actor, params }, reply) => {
      await revokeKey(database, actor, params.id);
      return reply.status(204).send(null);
    },
  );
}
