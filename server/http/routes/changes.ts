import { z } from 'zod';
import { changeDiff, changeView } from '../../../contract/changes.ts';
import { runView } from '../../../contract/runs.ts';
import { getChange, listChanges, requestMerge } from '../../domain/changes/changes.ts';
import { idParams, listOf, pageLimit } from '../lists.ts';
import type { HttpParts, Routes } from '../server.ts';

export function changeRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, defaults, now } = parts;

  routes.get(
    '/changes',
    {
      schema: {
        querystring: z.object({
          task: z.string().optional(),
          status: changeView.shape.status.optional(),
          limit: pageLimit,
        }),
        response: { 200: listOf(changeView) },
      },
    },
    async ({ query }) => ({
      items: await listChanges(database, { taskId: query.task, status: query.status, limit: query.limit }),
    }),
  );

  routes.get('/changes/:id', { schema: { params: idParams, response: { 200: changeView } } }, ({ params }) =>
    getChange(database, params.id),
  );

  routes.get(
    '/changes/:id/diff',
    { schema: { params: idParams, response: { 200: changeDiff } } },
    async ({ params }) => {
      const change = await getChange(database, params.id);
      return parts.readDiff({ runId: change.runId, base: change.baseCommit, commit: change.commit });
    },
  );

  routes.post(
    '/changes/:id/merge',
    { schema: { params: idParams, response: { 202: z.object({ change: changeView, run: runView }) } } },
    async (request, reply) => {
      const { dayLimitMicros } = defaults;
      const runId = await requestMerge({ database, now, dayLimitMicros }, request.actor, request.params.id);
      const change = await getChange(database, request.params.id);
      return reply.status(202).send({ change, run: await present.run(database, runId) });
    },
  );
}
