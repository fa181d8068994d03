import { z } from 'zod';
import { createdTask, createTaskBody, taskStatus, taskView } from '../../../contract/tasks.ts';
import { createTask, getTask, listTasks } from '../../domain/tasks/tasks.ts';
import { may } from '../access.ts';
import { listOf, pageLimit } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function taskRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, defaults, now } = parts;

  routes.post(
    '/tasks',
    { config: may('tasks:write'), schema: { body: createTaskBody, response: { 201: createdTask } } },
    async (request, reply) => {
      const created = await createTask({ database, present, defaults, now }, request.actor, request.body);
      return reply.status(201).send(created);
    },
  );

  routes.post(
    '/sample',
    { config: may('tasks:write'), schema: { response: { 201: createdTask } } },
    async (request, reply) => reply.status(201).send(await parts.createSample(request.actor)),
  );

  routes.get(
    '/tasks',
    {
      config: may('tasks:read'),
      schema: {
        querystring: z.object({ status: taskStatus.optional(), limit: pageLimit }),
        response: { 200: listOf(taskView) },
      },
    },
    async (request) => ({ items: await listTasks(database, request.query) }),
  );

  routes.get(
    '/tasks/:id',
    {
      config: may('tasks:read', 'task'),
      schema: { params: z.object({ id: z.string() }), response: { 200: taskView } },
    },
    (request) => getTask(database, request.params.id),
  );
}
