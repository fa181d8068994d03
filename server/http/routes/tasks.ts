import { z } from 'zod';
import {
  addDependencyBody,
  batchBody,
  batchResult,
  cancelTaskBody,
  createTaskBody,
  instant,
  priority,
  takenTask,
  taskStatus,
  taskView,
  updateTaskBody,
} from '../../../contract/tasks.ts';
import { applyBatch } from '../../domain/tasks/batch.ts';
import { addDependency, removeDependency } from '../../domain/tasks/dependencies.ts';
import { cancelTask, retryTask } from '../../domain/tasks/end-task.ts';
import { getTask, listTasks } from '../../domain/tasks/task-rows.ts';
import { takeTask } from '../../domain/tasks/tasks.ts';
import { updateTask } from '../../domain/tasks/update-task.ts';
import { may } from '../access.ts';
import { expectedVersion } from '../etag.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

const time = instant.optional();
const named = z.string().min(1).max(200).optional();

const filters = z.object({
  status: taskStatus.optional(),
  priority: priority.optional(),
  /** By identifier or name; `none` for tasks of whoever claims them. */
  assignee: named,
  project: named,
  parent: named,
  /** Words of the title and the instructions. */
  text: z.string().trim().min(1).max(500).optional(),
  createdAfter: time,
  createdBefore: time,
  updatedAfter: time,
  ...pageQuery,
});

export function taskRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, defaults, now } = parts;
  const context = { database, present, defaults, now };
  const one = { params: idParams, response: { 200: taskView } };

  routes.post(
    '/tasks',
    { config: may('tasks:write'), schema: { body: createTaskBody, response: { 201: takenTask } } },
    async ({ actor, body }, reply) => reply.status(201).send(await takeTask(context, actor, body)),
  );

  routes.post(
    '/sample',
    { config: may('tasks:write'), schema: { response: { 201: takenTask } } },
    async (request, reply) => reply.status(201).send(await parts.createSample(request.actor)),
  );

  routes.post(
    '/tasks/batch',
    { config: may('tasks:write'), schema: { body: batchBody, response: { 200: batchResult } } },
    ({ actor, body }) => applyBatch(context, actor, body),
  );

  routes.get(
    '/tasks',
    { config: may('tasks:read'), schema: { querystring: filters, response: { 200: pageOf(taskView) } } },
    ({ actor, query }) => {
      const { cursor: _, limit: __, ...wanted } = query;
      return readPage(query, (page) => listTasks(database, { ...wanted, actor, ...page }));
    },
  );

  routes.get('/tasks/:id', { config: may('tasks:read', 'task'), schema: one }, ({ params }) =>
    getTask(database, params.id),
  );

  routes.patch(
    '/tasks/:id',
    {
      config: { ...may('tasks:write', 'task'), ifMatch: true },
      schema: { ...one, body: updateTaskBody },
    },
    (request) => {
      const { actor, params, body } = request;
      return updateTask(context, actor, params.id, body, expectedVersion(request));
    },
  );

  routes.post(
    '/tasks/:id/cancel',
    { config: may('tasks:write', 'task'), schema: { ...one, body: cancelTaskBody } },
    ({ actor, params, body }) => cancelTask(context, actor, params.id, body.reason),
  );

  routes.post('/tasks/:id/retry', { config: may('tasks:write', 'task'), schema: one }, ({ actor, params }) =>
    retryTask(context, actor, params.id),
  );

  routes.post(
    '/tasks/:id/dependencies',
    { config: may('tasks:write', 'task'), schema: { ...one, body: addDependencyBody } },
    ({ actor, params, body }) => addDependency(context, actor, params.id, body.dependsOn),
  );

  routes.delete(
    '/tasks/:id/dependencies/:dependsOn',
    {
      config: may('tasks:write', 'task'),
      schema: { ...one, params: idParams.extend({ dependsOn: z.string() }) },
    },
    ({ actor, params }) => removeDependency(context, actor, params.id, params.dependsOn),
  );
}
