import type { TaskView } from '../../../contract/tasks.ts';
import type { Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { wakeRun } from '../../runs/lease.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { beginTask } from './begin.ts';
import type { RunPlan } from './plans.ts';
import { getTask } from './task-rows.ts';
import { setTaskStatus, type TaskContext } from './tasks.ts';
import { lockTask } from './update-task.ts';

/**
 * Cancels a task with its children, and stops what works on them: our own runs hear it within seconds, and what
 * foreign agents hold is taken from them at once. Cancelled again, it is answered alike.
 * @throws AppError not_found, forbidden, wrong_state where it has ended otherwise
 */
export async function cancelTask(
  context: Pick<TaskContext, 'database' | 'now'>,
  actor: Actor,
  id: string,
  reason: string,
): Promise<TaskView> {
  return context.database.transaction('tasks.cancel', (transaction) =>
    applyCancel(transaction, context, actor, { id, reason }),
  );
}

export async function applyCancel(
  transaction: Transaction,
  { now }: Pick<TaskContext, 'now'>,
  actor: Actor,
  cancel: { id: string; reason: string },
): Promise<TaskView> {
  requirePermission(actor, 'tasks:write');
  const { id, reason } = cancel;
  const { status } = await lockTask(transaction, actor, id);
  if (status === 'completed' || status === 'failed')
    throw new AppError('wrong_state', `The task is ${status}; there is nothing left to cancel.`);
  if (status === 'cancelled') return getTask(transaction, id);
  const family = await transaction.many<{ id: string }>(
    sql`WITH RECURSIVE family AS (
          SELECT id FROM tasks WHERE id = ${id}
          UNION SELECT tasks.id FROM tasks JOIN family ON tasks.parent_id = family.id
        )
        SELECT id FROM tasks WHERE id IN (SELECT id FROM family)
          AND status NOT IN ('completed', 'failed', 'cancelled') ORDER BY id FOR UPDATE`,
  );
  for (const member of family) {
    const why = member.id === id ? reason || 'cancelled by a person' : `its parent ${id} was cancelled`;
    await setTaskStatus(transaction, {
      taskId: member.id,
      status: 'cancelled',
      waiting: null,
      actor: actor.name,
      reason: why,
    });
    await stopWork(transaction, member.id, actor.name, now());
    await closeChanges(transaction, member.id, actor.name);
  }
  return getTask(transaction, id);
}

/** In the transaction that ends a task: whatever works on it. */
export async function stopWork(
  transaction: Transaction,
  taskId: string,
  actor: string,
  now: number,
): Promise<void> {
  const live = await transaction.many<{ id: string; kind: string }>(
    sql`SELECT id, kind FROM runs WHERE task_id = ${taskId} AND ended_at IS NULL ORDER BY id FOR UPDATE`,
  );
  for (const { id, kind } of live) {
    const external = kind === 'external';
    await transaction.many(
      external
        ? sql`UPDATE runs SET status = 'stopped', outcome = 'its task was cancelled', worker_id = NULL, waiting = NULL,
                ended_at = now(), version = version + 1 WHERE id = ${id}`
        : sql`UPDATE runs SET control = 'stop' WHERE id = ${id}`,
    );
    await appendEvents(transaction, [
      {
        type: external ? 'run.stopped' : 'run.control_requested',
        entityType: 'run',
        entityId: id,
        runId: id,
        taskId,
        actor,
        data: external ? { outcome: 'its task was cancelled' } : { control: 'stop' },
      },
    ]);
    if (!external) await wakeRun(transaction, { runId: id, actor, now, reason: 'its task was cancelled' });
  }
}

async function closeChanges(transaction: Transaction, taskId: string, actor: string): Promise<void> {
  const closed = await transaction.many<{ id: string }>(
    sql`UPDATE changes SET status = 'closed', updated_at = now()
        WHERE task_id = ${taskId} AND status IN ('draft', 'ready') RETURNING id`,
  );
  await appendEvents(
    transaction,
    closed.map(({ id }) => ({
      type: 'change.closed' as const,
      entityType: 'change' as const,
      entityId: id,
      taskId,
      actor,
      data: { reason: 'its task was cancelled' },
    })),
  );
}

/** What is tried again as our own loop's where nothing is kept of how: as its last run was. */
async function planAsBefore(
  transaction: Transaction,
  taskId: string,
  { defaults }: TaskContext,
): Promise<void> {
  const last = await transaction.maybe<{ agentId: string; model: string }>(
    sql`SELECT agent_id AS "agentId", model FROM runs WHERE task_id = ${taskId} AND kind = 'task'
        ORDER BY id DESC LIMIT 1`,
  );
  if (last === undefined) return;
  const plan: RunPlan = {
    ...last,
    limitMicros: defaults.runLimitMicros,
    limitTokens: defaults.runLimitTokens,
    dayLimitMicros: defaults.dayLimitMicros,
  };
  await transaction.many(sql`UPDATE tasks SET plan = ${json(plan)} WHERE id = ${taskId} AND plan IS NULL`);
}

/**
 * A failed or cancelled task is pending again, and begins anew.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function retryTask(context: TaskContext, actor: Actor, id: string): Promise<TaskView> {
  requirePermission(actor, 'tasks:write');
  return context.database.transaction('tasks.retry', async (transaction) => {
    const { status } = await lockTask(transaction, actor, id);
    if (status !== 'failed' && status !== 'cancelled')
      throw new AppError('wrong_state', `The task is ${status}; only a failed or cancelled one is retried.`);
    const live = await transaction.maybe<{ id: string }>(
      sql`SELECT id FROM runs WHERE task_id = ${id} AND ended_at IS NULL LIMIT 1`,
    );
    if (live !== undefined)
      throw new AppError('wrong_state', `${live.id} is still being stopped; try again in a few seconds.`);
    await planAsBefore(transaction, id, context);
    await reopen(transaction, id, actor.name, 'it is tried again', context.now());
    return getTask(transaction, id);
  });
}

/** Makes a task pending again, whatever it was, and lets it begin. The caller holds its row. */
export async function reopen(
  transaction: Transaction,
  taskId: string,
  actor: string,
  reason: string,
  now: number,
): Promise<void> {
  await transaction.many(
    sql`UPDATE tasks SET status = 'pending', waiting = '{}'::jsonb, updated_at = now(), version = version + 1,
          lost_leases = 0, result = NULL, attested = false WHERE id = ${taskId}`,
  );
  await appendEvents(transaction, [
    {
      type: 'task.updated',
      entityType: 'task',
      entityId: taskId,
      taskId,
      actor,
      data: { status: 'pending', reason },
    },
  ]);
  await beginTask(transaction, { taskId, actor, now });
}
