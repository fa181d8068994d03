import { z } from 'zod';
import { createPrincipalBody, principalView, updatePrincipalBody } from '../../../contract/principals.ts';
import {
  createPrincipal,
  getPrincipal,
  listPrincipals,
  updatePrincipal,
} from '../../domain/principals/change-principals.ts';
import { may } from '../access.ts';
import { idParams, listOf } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** People, services and agents, and what each may do and where. */
export function principalRoutes(routes: Routes, { database }: HttpParts): void {
  routes.get(
    '/principals',
    { config: may('principals:manage'), schema: { response: { 200: listOf(principalView) } } },
    async ({ actor }) => ({ items: await listPrincipals(database, actor) }),
  );

  routes.post(
    '/principals',
    {
      config: may('principals:manage'),
      schema: { body: createPrincipalBody, response: { 201: principalView } },
    },
    async ({ actor, body }, reply) => reply.status(201).send(await createPrincipal(database, actor, body)),
  );

  routes.get(
    '/principals/me',
    {
      config: may('keys:own'),
      schema: { response: { 200: principalView.extend({ permissions: z.array(z.string()) }) } },
    },
    async ({ actor }) => {
      const principal = await getPrincipal(database, actor, actor.id);
      // What the key leaves of it.
      const projects = actor.projects === null ? null : [...actor.projects];
      return { ...principal, projects, permissions: [...actor.permissions] };
    },
  );

  routes.get(
    '/principals/:id',
    {
      config: may('principals:manage'),
      schema: { params: idParams, response: { 200: principalView } },
    },
    ({ actor, params }) => getPrincipal(database, actor, params.id),
  );

  routes.patch(
    '/principals/:id',
    {
      config: may('principals:manage'),
      schema: { params: idParams, body: updatePrincipalBody, response: { 200: principalView } },
    },
    ({ actor, params, body }) => updatePrincipal(database, actor, params.id, body),
  );
}
