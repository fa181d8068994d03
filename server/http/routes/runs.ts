import { z } from 'zod';
import { runStatus, runView, saidView, sayBody } from '../../../contract/runs.ts';
import { stepView } from '../../../contract/steps.ts';
import { requestControl, sayToRun } from '../../domain/runs/runs.ts';
import { readRunSteps } from '../../domain/runs/steps.ts';
import { may } from '../access.ts';
import { idParams, largestInteger, listOf, pageLimit, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

const controls = { pause: 'pause', resume: 'go', stop: 'stop' } as const;

export function runRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, now } = parts;

  routes.get(
    '/runs',
    {
      config: may('runs:read'),
      schema: {
        querystring: z.object({
          task: z.string().optional(),
          status: runStatus.optional(),
          ...pageQuery,
        }),
        response: { 200: pageOf(runView) },
      },
    },
    ({ actor, query }) =>
      readPage(query, (page) =>
        present.list(database, { taskId: query.task, status: query.status, actor, ...page }),
      ),
  );

  routes.get(
    '/runs/:id',
    { config: may('runs:read', 'run'), schema: { params: idParams, response: { 200: runView } } },
    ({ params }) => present.run(database, params.id),
  );

  routes.get(
    '/runs/:id/steps',
    {
      config: may('runs:read', 'run'),
      schema: {
        params: idParams,
        querystring: z.object({
          after: z.coerce.number().int().min(0).max(largestInteger).default(0),
          limit: pageLimit,
        }),
        response: { 200: listOf(stepView) },
      },
      // What an earlier version stored is told as it stands, also where it fits the schema of today no more.
      serializerCompiler: () => (steps) => JSON.stringify(steps),
    },
    async ({ params, query }) => ({ items: await readRunSteps(database, { runId: params.id, ...query }) }),
  );

  for (const [verb, control] of Object.entries(controls)) {
    routes.post(
      `/runs/:id/${verb}`,
      {
        config: { ...may('runs:control', 'run'), ifMatch: true },
        schema: { params: idParams, response: { 200: runView } },
      },
      async (request) => {
        await requestControl({ database, now }, request.actor, request.params.id, control);
        return present.run(database, request.params.id);
      },
    );
  }

  routes.post(
    '/runs/:id/say',
    {
      config: { ...may('runs:control', 'run'), ifMatch: true },
      schema: { params: idParams, body: sayBody, response: { 202: saidView } },
    },
    async (request, reply) => {
      await sayToRun({ database, now }, request.actor, request.params.id, request.body.text);
      return reply.status(202).send({ status: 'accepted' as const });
    },
  );
}
