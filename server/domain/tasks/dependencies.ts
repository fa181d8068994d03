import type { TaskView } from '../../../contract/tasks.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { type Actor, requirePermission, sees } from '../actor.ts';
import { beginTask, holdBack } from './begin.ts';
import { getTask, unknownTask } from './task-rows.ts';

/** Two additions at once must not close a circle that neither sees: they go one after the other. */
const circleLock = 470_008;

/*
 * A task's row counts the tasks that it waits for and those that wait for it. Whoever completes a task locks its row
 * first; whoever lets another depend on it does the same: so the one sees the other's dependency or its completion.
 */

/** @throws AppError not_found, wrong_state, unprocessable where it would wait for itself */
export async function addDependency(
  context: { database: Database; now: () => number },
  actor: Actor,
  taskId: string,
  dependsOn: string,
): Promise<TaskView> {
  requirePermission(actor, 'tasks:write');
  return context.database.transaction('tasks.depend', async (transaction) => {
    await transaction.many(sql`SELECT pg_advisory_xact_lock(${circleLock})`);
    await lockPending(transaction, taskId);
    await holdBack(transaction, taskId, actor.name);
    await insertDependencies(transaction, actor, taskId, [dependsOn]);
    await refuseCircle(transaction, taskId);
    await tellChanged(transaction, taskId, actor, { dependsOn });
    await beginTask(transaction, { taskId, actor: actor.name, now: context.now() });
    return getTask(transaction, taskId);
  });
}

/** @throws AppError not_found, wrong_state */
export async function removeDependency(
  context: { database: Database; now: () => number },
  actor: Actor,
  taskId: string,
  dependsOn: string,
): Promise<TaskView> {
  requirePermission(actor, 'tasks:write');
  return context.database.transaction('tasks.depend', async (transaction) => {
    await lockPending(transaction, taskId);
    await holdBack(transaction, taskId, actor.name);
    const removed = await deleteDependencies(transaction, taskId, [dependsOn]);
    if (removed === 0) throw new AppError('not_found', `${taskId} does not depend on ${dependsOn}`);
    await tellChanged(transaction, taskId, actor, { noLonger: dependsOn });
    await beginTask(transaction, { taskId, actor: actor.name, now: context.now() });
    return getTask(transaction, taskId);
  });
}

/** In the place of those that it has; the caller holds its row and lets it begin again afterwards. */
export async function replaceDependencies(
  transaction: Transaction,
  actor: Actor,
  taskId: string,
  dependsOn: readonly string[],
): Promise<void> {
  await transaction.many(sql`SELECT pg_advisory_xact_lock(${circleLock})`);
  const had = await transaction.many<{ id: string }>(
    sql`SELECT depends_on AS id FROM task_dependencies WHERE task_id = ${taskId}`,
  );
  const gone = had.map(({ id }) => id).filter((id) => !dependsOn.includes(id));
  await deleteDependencies(transaction, taskId, gone);
  await insertDependencies(transaction, actor, taskId, dependsOn);
  await refuseCircle(transaction, taskId);
}

/** @throws AppError not_found where there is no such task that the actor sees */
export async function insertDependencies(
  transaction: Transaction,
  actor: Actor,
  taskId: string,
  dependsOn: readonly string[],
): Promise<void> {
  if (dependsOn.length === 0) return;
  if (dependsOn.includes(taskId)) throw new AppError('unprocessable', 'A task cannot wait for itself.');
  const found = await transaction.many<{ id: string; projectId: string; status: TaskView['status'] }>(
    sql`SELECT id, project_id AS "projectId", status FROM tasks WHERE id = ANY(${dependsOn}::text[])
        ORDER BY id FOR NO KEY UPDATE`,
  );
  const seen = new Set(found.filter((task) => sees(actor, task.projectId)).map(({ id }) => id));
  const unknown = dependsOn.find((id) => !seen.has(id));
  if (unknown !== undefined) throw unknownTask(unknown);
  const added = await transaction.many<{ id: string }>(
    sql`INSERT INTO task_dependencies (task_id, depends_on)
        SELECT ${taskId}, unnest(${[...seen]}::text[]) ON CONFLICT DO NOTHING RETURNING depends_on AS id`,
  );
  const ids = new Set(added.map(({ id }) => id));
  const open = found.filter(({ id, status }) => ids.has(id) && status !== 'completed').length;
  await transaction.many(
    sql`UPDATE tasks SET dependents = dependents + 1 WHERE id = ANY(${[...ids]}::text[])`,
  );
  await transaction.many(
    sql`UPDATE tasks SET open_dependencies = open_dependencies + ${open}, waiting = coalesce(waiting, '{}'::jsonb)
        WHERE id = ${taskId} AND ${open}::integer > 0`,
  );
}

/** In the transaction that completes a task: those that waited for it alone begin. */
export async function releaseDependents(
  transaction: Transaction,
  taskId: string,
  actor: string,
): Promise<void> {
  await transaction.many(
    sql`SELECT id FROM tasks WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = ${taskId})
        ORDER BY id FOR UPDATE`,
  );
  const waiting = await transaction.many<{
    id: string;
    status: TaskView['status'];
    open: number;
    at: string;
  }>(
    sql`UPDATE tasks SET open_dependencies = open_dependencies - 1
        WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on = ${taskId}) AND open_dependencies > 0
        RETURNING id, status, open_dependencies AS open, clock_timestamp() AS at`,
  );
  for (const { id, status, open, at } of waiting) {
    if (status !== 'pending') continue;
    await beginTask(transaction, { taskId: id, actor, now: Date.parse(at) });
    await appendEvents(transaction, [
      {
        type: 'task.updated',
        entityType: 'task',
        entityId: id,
        taskId: id,
        actor,
        data: { status, reason: `${taskId} is completed`, openDependencies: open },
      },
    ]);
  }
}

async function deleteDependencies(
  transaction: Transaction,
  taskId: string,
  gone: readonly string[],
): Promise<number> {
  if (gone.length === 0) return 0;
  const locked = await transaction.many<{ id: string; status: TaskView['status'] }>(
    sql`SELECT id, status FROM tasks WHERE id = ANY(${gone}::text[]) ORDER BY id FOR NO KEY UPDATE`,
  );
  const removed = await transaction.many<{ id: string }>(
    sql`DELETE FROM task_dependencies WHERE task_id = ${taskId} AND depends_on = ANY(${gone}::text[])
        RETURNING depends_on AS id`,
  );
  const ids = removed.map(({ id }) => id);
  const open = locked.filter(({ id, status }) => ids.includes(id) && status !== 'completed').length;
  await transaction.many(sql`UPDATE tasks SET dependents = dependents - 1 WHERE id = ANY(${ids}::text[])`);
  await transaction.many(
    sql`UPDATE tasks SET open_dependencies = open_dependencies - ${open} WHERE id = ${taskId}`,
  );
  return ids.length;
}

async function refuseCircle(transaction: Transaction, taskId: string): Promise<void> {
  const back = await transaction.maybe(
    sql`WITH RECURSIVE before AS (
          SELECT depends_on AS id FROM task_dependencies WHERE task_id = ${taskId}
          UNION SELECT depends_on FROM before JOIN task_dependencies ON task_id = before.id
        )
        SELECT id FROM before WHERE id = ${taskId}`,
  );
  if (back === undefined) return;
  throw new AppError('unprocessable', 'That closes a circle: each would wait for the other for ever.');
}

async function lockPending(transaction: Transaction, taskId: string): Promise<void> {
  const task = await transaction.maybe<{ status: TaskView['status'] }>(
    sql`SELECT status FROM tasks WHERE id = ${taskId} FOR UPDATE`,
  );
  if (task === undefined) throw unknownTask(taskId);
  if (task.status === 'pending') return;
  throw new AppError('wrong_state', `The task is ${task.status}; dependencies are set before it begins.`);
}

async function tellChanged(
  transaction: Transaction,
  taskId: string,
  actor: Actor,
  data: Record<string, unknown>,
): Promise<void> {
  await transaction.many(
    sql`UPDATE tasks SET version = version + 1, updated_at = now() WHERE id = ${taskId}`,
  );
  await appendEvents(transaction, [
    {
      type: 'task.updated',
      entityType: 'task',
      entityId: taskId,
      taskId,
      actor: actor.name,
      data: { status: 'pending', ...data },
    },
  ]);
}
