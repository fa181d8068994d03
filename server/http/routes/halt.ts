import { haltBody, haltView } from '../../../contract/system.ts';
import { releaseEverything, stopEverything } from '../../domain/halt/halt.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function haltRoutes(routes: Routes, { database, now }: HttpParts): void {
  routes.post(
    '/halt',
    { config: may('runs:control'), schema: { body: haltBody.nullish(), response: { 200: haltView } } },
    async (request) => ({
      halted: await stopEverything({ database, now }, request.actor, request.body?.reason ?? ''),
    }),
  );

  routes.delete(
    '/halt',
    { config: may('runs:control'), schema: { response: { 200: haltView } } },
    async (request) => {
      await releaseEverything({ database, now }, request.actor);
      return { halted: null };
    },
  );
}
