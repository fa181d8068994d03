import { sendBackBody } from '../../../contract/changes.ts';
import {
  blockBody,
  type ClaimNextBody,
  claimList,
  claimNextBody,
  claimTaskBody,
  claimView,
  completeBody,
  completedMany,
  completeManyBody,
  heartbeatBody,
  heartbeatView,
  releaseBody,
  unblockBody,
} from '../../../contract/claims.ts';
import { taskView } from '../../../contract/tasks.ts';
import type { Database } from '../../database/database.ts';
import { type Actor, requirePermission } from '../../domain/actor.ts';
import { getAgent } from '../../domain/agents/agents.ts';
import { findProject } from '../../domain/projects/projects.ts';
import { claimTasks, refuseClaim, requireClaimer } from '../../domain/tasks/claims.ts';
import { completeAndClaim, completeTask, completeTasks } from '../../domain/tasks/completing.ts';
import { blockTask, blockUnheld, heartbeatTask, releaseTask } from '../../domain/tasks/holding.ts';
import { acceptTask, sendTaskBack, unblockTask } from '../../domain/tasks/standing.ts';
import { getTask } from '../../domain/tasks/task-rows.ts';
import { may } from '../access.ts';
import { idParams } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** Work for foreign agents: they claim a task under a lease, and every write of it carries the lease's token. */
export function claimRoutes(routes: Routes, parts: HttpParts): void {
  const { database, now } = parts;
  const one = { params: idParams, response: { 200: taskView } };
  const claimer = (actor: Actor, named: string | undefined) => findClaimer(database, actor, named);
  const wantedOf = (actor: Actor, next: Next) => findWanted(database, actor, next);

  routes.post(
    '/tasks/claim',
    { config: may('tasks:claim'), schema: { body: claimNextBody, response: { 200: claimList } } },
    async ({ actor, body }) => {
      const { agent: named, ...next } = body;
      const agent = await claimer(actor, named);
      const items = await claimTasks(database, {
        ...(await wantedOf(actor, next)),
        agent,
        actor,
        now: now(),
      });
      if (items.length === 0) await requireClaimer(database, agent);
      return { items };
    },
  );

  routes.post(
    '/tasks/complete',
    { config: may('tasks:claim'), schema: { body: completeManyBody, response: { 200: completedMany } } },
    async ({ actor, body }) => {
      const items = body.items.map(({ id, leaseToken, result }) => ({ taskId: id, leaseToken, result }));
      if (body.claim === undefined) {
        const done = await completeTasks(database, actor, items, now());
        return { items: done.map(({ id, status }) => ({ id, status })), claims: [] };
      }
      const request = { ...(await wantedOf(actor, body.claim)), agent: actor, actor, now: now() };
      const { done, claims } = await completeAndClaim(database, request, items);
      return { items: done.map(({ id, status }) => ({ id, status })), claims };
    },
  );

  routes.post(
    '/tasks/:id/claim',
    {
      config: may('tasks:claim', 'task'),
      schema: { params: idParams, body: claimTaskBody, response: { 200: claimView } },
    },
    async ({ actor, params, body }) => {
      const agent = await claimer(actor, body.agent);
      const { leaseSeconds } = body;
      const request = { agent, actor, count: 1, leaseSeconds, taskId: params.id, now: now() };
      const [claim] = await claimTasks(database, request);
      return claim ?? refuseClaim(database, request);
    },
  );

  routes.post(
    '/tasks/:id/heartbeat',
    {
      config: may('tasks:claim', 'task'),
      schema: { params: idParams, body: heartbeatBody, response: { 200: heartbeatView } },
    },
    ({ actor: agent, params, body: { leaseToken, leaseSeconds } }) =>
      heartbeatTask(database, { taskId: params.id, leaseToken, agent }, { leaseSeconds, now: now() }),
  );

  routes.post(
    '/tasks/:id/release',
    { config: may('tasks:claim', 'task'), schema: { ...one, body: releaseBody } },
    async ({ actor: agent, params: { id }, body: { leaseToken, reason } }) => {
      await releaseTask(database, { taskId: id, leaseToken, agent }, { reason, now: now() });
      return getTask(database, id);
    },
  );

  routes.post(
    '/tasks/:id/complete',
    { config: may('tasks:claim', 'task'), schema: { ...one, body: completeBody } },
    async ({ actor: agent, params: { id }, body }) => {
      await completeTask(database, { ...body, taskId: id, agent, result: body.result }, now());
      return getTask(database, id);
    },
  );

  routes.post(
    '/tasks/:id/block',
    { config: may('tasks:claim', 'task'), schema: { ...one, body: blockBody } },
    async ({ actor, params: { id }, body: { leaseToken, ...block } }) => {
      if (leaseToken !== undefined) {
        await blockTask(database, { taskId: id, leaseToken, agent: actor }, block);
      } else {
        requirePermission(actor, 'tasks:write');
        await blockUnheld(database, actor, id, block);
      }
      return getTask(database, id);
    },
  );

  routes.post(
    '/tasks/:id/unblock',
    { config: may('tasks:claim', 'task'), schema: { ...one, body: unblockBody } },
    ({ actor, params, body }) => unblockTask({ database, now }, actor, params.id, body.reason),
  );

  routes.post(
    '/tasks/:id/accept',
    { config: may('changes:decide', 'task'), schema: one },
    ({ actor, params }) => acceptTask({ database, now }, actor, params.id),
  );

  routes.post(
    '/tasks/:id/send-back',
    { config: may('changes:decide', 'task'), schema: { ...one, body: sendBackBody } },
    ({ actor, params, body }) => sendTaskBack({ database, now }, actor, params.id, body.comments),
  );
}

/** Who claims: the agent itself, or the one for whom an operator does. */
async function findClaimer(database: Database, actor: Actor, named: string | undefined) {
  if (named === undefined || named === actor.name || named === actor.id) return actor;
  requirePermission(actor, 'tasks:write');
  const { id, name } = await getAgent(database, named);
  return { id, name };
}

type Next = Omit<ClaimNextBody, 'agent'>;

async function findWanted(database: Database, actor: Actor, { project, ...wanted }: Next) {
  const projectId = project === undefined ? undefined : (await findProject(database, actor, project)).id;
  return { ...wanted, projectId };
}
