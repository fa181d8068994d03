import { agentLimits, agentLimitsView, projectTrust } from '../../../contract/limits.ts';
import { setLimits, showLimits } from '../../domain/limits/limits.ts';
import { readProjectTrust, setProjectTrust } from '../../domain/taint/project-trust.ts';
import { may } from '../access.ts';
import { idParams } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function limitRoutes(routes: Routes, { database, now }: HttpParts): void {
  routes.get(
    '/agents/:id/limits',
    { config: may('agents:read'), schema: { params: idParams, response: { 200: agentLimitsView } } },
    (request) => showLimits(database, request.params.id),
  );

  routes.put(
    '/agents/:id/limits',
    {
      config: may('agents:manage'),
      schema: { params: idParams, body: agentLimits, response: { 200: agentLimitsView } },
    },
    (request) => setLimits({ database, now }, request.actor, request.params.id, request.body),
  );

  routes.get(
    '/projects/:id/trust',
    {
      config: may('projects:read', 'project'),
      schema: { params: idParams, response: { 200: projectTrust } },
    },
    (request) => readProjectTrust(database, request.params.id),
  );

  routes.put(
    '/projects/:id/trust',
    {
      config: may('policy:manage', 'project'),
      schema: { params: idParams, body: projectTrust, response: { 200: projectTrust } },
    },
    (request) => setProjectTrust(database, request.actor, request.params.id, request.body),
  );
}
