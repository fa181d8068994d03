import { z } from 'zod';
import {
  agentView,
  registerAgentBody,
  registeredAgent,
  suspendAgentBody,
  updateAgentBody,
} from '../../../contract/agents.ts';
import { getAgent, listAgents, registerForeignAgent, updateAgent } from '../../domain/agents/agents.ts';
import { heartbeatAgent, resumeAgent, suspendAgent } from '../../domain/agents/presence.ts';
import { may } from '../access.ts';
import { expectedVersion } from '../etag.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** Everywhere below, `id` is an agent's identifier or its name. */
export function agentRoutes(routes: Routes, { database, now }: HttpParts): void {
  const one = { params: idParams, response: { 200: agentView } };
  const context = { database, now };

  routes.post(
    '/agents/register',
    {
      config: { ...may('agents:act'), secretAnswer: true },
      schema: { body: registerAgentBody, response: { 200: registeredAgent, 201: registeredAgent } },
    },
    async ({ actor, body }, reply) => {
      const registered = await registerForeignAgent(database, actor, body);
      if (registered.key !== null) return reply.status(201).send(registered);
      return reply.send({ agent: await heartbeatAgent(context, actor, registered.agent.id), key: null });
    },
  );

  routes.get(
    '/agents',
    {
      config: may('agents:read'),
      schema: {
        querystring: z.object({ runtime: agentView.shape.runtime.optional(), ...pageQuery }),
        response: { 200: pageOf(agentView) },
      },
    },
    ({ query }) => readPage(query, (page) => listAgents(database, { runtime: query.runtime, ...page })),
  );

  routes.get('/agents/:id', { config: may('agents:read'), schema: one }, ({ params }) =>
    getAgent(database, params.id),
  );

  routes.patch(
    '/agents/:id',
    { config: { ...may('agents:manage'), ifMatch: true }, schema: { ...one, body: updateAgentBody } },
    (request) =>
      updateAgent(database, request.actor, request.params.id, request.body, expectedVersion(request)),
  );

  routes.post('/agents/:id/heartbeat', { config: may('agents:act'), schema: one }, ({ actor, params }) =>
    heartbeatAgent(context, actor, params.id),
  );

  routes.post(
    '/agents/:id/suspend',
    { config: may('agents:manage'), schema: { ...one, body: suspendAgentBody } },
    ({ actor, params, body }) => suspendAgent(context, actor, params.id, body.reason),
  );

  routes.post('/agents/:id/resume', { config: may('agents:manage'), schema: one }, ({ actor, params }) =>
    resumeAgent(context, actor, params.id),
  );
}
