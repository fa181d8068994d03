import { z } from 'zod';
import { changeDiff, changeView, sendBackBody } from '../../../contract/changes.ts';
import { runView } from '../../../contract/runs.ts';
import { getChange, listChanges, requestMerge } from '../../domain/changes/changes.ts';
import { requestPush } from '../../domain/changes/pushing.ts';
import { requestRevert } from '../../domain/changes/reverting.ts';
import { requestSendBack } from '../../domain/changes/sending-back.ts';
import { may } from '../access.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function changeRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, defaults, now } = parts;

  routes.get(
    '/changes',
    {
      config: may('changes:read'),
      schema: {
        querystring: z.object({
          task: z.string().optional(),
          status: changeView.shape.status.optional(),
          ...pageQuery,
        }),
        response: { 200: pageOf(changeView) },
      },
    },
    ({ actor, query }) =>
      readPage(query, (page) =>
        listChanges(database, { taskId: query.task, status: query.status, actor, ...page }),
      ),
  );

  routes.get(
    '/changes/:id',
    { config: may('changes:read', 'change'), schema: { params: idParams, response: { 200: changeView } } },
    ({ params }) => getChange(database, params.id),
  );

  routes.get(
    '/changes/:id/diff',
    { config: may('changes:read', 'change'), schema: { params: idParams, response: { 200: changeDiff } } },
    async ({ params }) => {
      const change = await getChange(database, params.id);
      return parts.readDiff({ runId: change.runId, base: change.baseCommit, commit: change.commit });
    },
  );

  const context = { database, now, dayLimitMicros: defaults.dayLimitMicros };
  const movingSchema = {
    params: idParams,
    response: { 202: z.object({ change: changeView, run: runView }) },
  };
  const show = async (changeId: string, runId: string) => ({
    change: await getChange(database, changeId),
    run: await present.run(database, runId),
  });

  routes.post(
    '/changes/:id/merge',
    { config: { ...may('changes:decide', 'change'), ifMatch: true }, schema: movingSchema },
    async ({ actor, params }, reply) => {
      const runId = await requestMerge(context, actor, params.id);
      return reply.status(202).send(await show(params.id, runId));
    },
  );

  routes.post(
    '/changes/:id/push',
    { config: { ...may('changes:decide', 'change'), ifMatch: true }, schema: movingSchema },
    async ({ actor, params }, reply) => {
      const runId = await requestPush(context, actor, params.id);
      return reply.status(202).send(await show(params.id, runId));
    },
  );

  routes.post(
    '/changes/:id/revert',
    { config: { ...may('changes:decide', 'change'), ifMatch: true }, schema: movingSchema },
    async ({ actor, params }, reply) => {
      const runId = await requestRevert(context, actor, params.id);
      return reply.status(202).send(await show(params.id, runId));
    },
  );

  routes.post(
    '/changes/:id/send-back',
    {
      config: { ...may('changes:decide', 'change'), ifMatch: true },
      schema: { ...movingSchema, body: sendBackBody },
    },
    async ({ actor, params, body }, reply) => {
      const runId = await requestSendBack(context, actor, params.id, body.comments);
      return reply.status(202).send(await show(params.id, runId));
    },
  );
}
