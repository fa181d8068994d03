import { z } from 'zod';
import {
  egressDecision,
  egressListView,
  egressRequestView,
  egressScope,
  putEgressBody,
} from '../../../contract/egress.ts';
import { getEgress, listEgress, putEgress } from '../../domain/egress/lists.ts';
import { listRequests } from '../../domain/egress/requests.ts';
import { may } from '../access.ts';
import { listOf, pageLimit, pageOf } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function egressRoutes(routes: Routes, { database }: HttpParts): void {
  const params = z.object({ scope: egressScope, name: z.string().min(1).max(200) });

  routes.get(
    '/egress',
    { config: may('policy:read'), schema: { response: { 200: listOf(egressListView) } } },
    async () => ({ items: await listEgress(database) }),
  );

  routes.get(
    '/egress/requests',
    {
      config: may('runs:read'),
      schema: {
        querystring: z.object({
          run: z.string().max(100).optional(),
          agent: z.string().max(100).optional(),
          decision: egressDecision.optional(),
          cursor: z.coerce.number().int().min(1).optional(),
          limit: pageLimit,
        }),
        response: { 200: pageOf(egressRequestView) },
      },
    },
    async ({ actor, query }) => {
      const { cursor, limit, ...filter } = query;
      const rows = await listRequests(database, actor, { ...filter, before: cursor, limit: limit + 1 });
      const items = rows.slice(0, limit);
      const last = rows.length > limit ? items.at(-1) : undefined;
      return { items, nextCursor: last === undefined ? null : String(last.id) };
    },
  );

  routes.get(
    '/egress/:scope/:name',
    { config: may('policy:read'), schema: { params, response: { 200: egressListView } } },
    ({ params: { scope, name } }) => getEgress(database, scope, name),
  );

  routes.put(
    '/egress/:scope/:name',
    {
      config: may('policy:manage'),
      schema: { params, body: putEgressBody, response: { 200: egressListView } },
    },
    (request) => putEgress(database, request.actor, request.params, request.body),
  );
}
