import { z } from 'zod';
import { createProjectBody, projectView, updateProjectBody } from '../../../contract/projects.ts';
import {
  createProject,
  deleteProject,
  getProject,
  listProjects,
  updateProject,
} from '../../domain/projects/projects.ts';
import { may } from '../access.ts';
import { expectedVersion } from '../etag.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function projectRoutes(routes: Routes, { database }: HttpParts): void {
  const one = { params: idParams, response: { 200: projectView } };

  routes.post(
    '/projects',
    { config: may('projects:manage'), schema: { body: createProjectBody, response: { 201: projectView } } },
    async ({ actor, body }, reply) => reply.status(201).send(await createProject(database, actor, body)),
  );

  routes.get(
    '/projects',
    {
      config: may('projects:read'),
      schema: { querystring: z.object(pageQuery), response: { 200: pageOf(projectView) } },
    },
    ({ actor, query }) => readPage(query, (page) => listProjects(database, actor, page)),
  );

  routes.get('/projects/:id', { config: may('projects:read', 'project'), schema: one }, ({ params }) =>
    getProject(database, params.id),
  );

  routes.patch(
    '/projects/:id',
    {
      config: { ...may('projects:manage', 'project'), ifMatch: true },
      schema: { ...one, body: updateProjectBody },
    },
    (request) =>
      updateProject(database, request.actor, request.params.id, request.body, expectedVersion(request)),
  );

  routes.delete(
    '/projects/:id',
    {
      config: { ...may('projects:manage', 'project'), ifMatch: true },
      schema: { params: idParams, response: { 200: z.object({ deleted: z.literal(true) }) } },
    },
    async (request) => {
      await deleteProject(database, request.actor, request.params.id, expectedVersion(request));
      return { deleted: true as const };
    },
  );
}
