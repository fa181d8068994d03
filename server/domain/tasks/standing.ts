import type { TaskView } from '../../../contract/tasks.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { reopen } from './end-task.ts';
import { getTask } from './task-rows.ts';
import { setTaskStatus } from './tasks.ts';
import { lockTask } from './update-task.ts';
import { endOfWait } from './waits.ts';

interface StandingContext {
  database: Database;
  now: () => number;
}

/**
 * A blocked task is pending again: by who may write tasks, or by the agent that blocked it.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function unblockTask(
  { database, now }: StandingContext,
  actor: Actor,
  id: string,
  reason: string,
): Promise<TaskView> {
  return database.transaction('tasks.unblock', async (transaction) => {
    const { status } = await lockTask(transaction, actor, id);
    if (status !== 'blocked') throw new AppError('wrong_state', `The task is ${status}, not blocked.`);
    if (!actor.permissions.includes('tasks:write')) await requireBlocker(transaction, actor, id);
    await unblock(transaction, id, actor.name, reason, now());
    return getTask(transaction, id);
  });
}

async function requireBlocker(transaction: Transaction, actor: Actor, id: string): Promise<void> {
  const own = await transaction.maybe(
    sql`SELECT runs.id FROM tasks JOIN runs ON runs.id = tasks.waiting ->> 'ref'
        WHERE tasks.id = ${id} AND runs.agent_id = ${actor.id}
          AND NOT EXISTS (SELECT FROM agents WHERE id = ${actor.id} AND suspended_at IS NOT NULL)`,
  );
  if (own !== undefined) return;
  throw new AppError(
    'forbidden',
    'An agent unblocks only what it blocked itself; its owner or an operator ends this wait.',
  );
}

async function unblock(
  transaction: Transaction,
  id: string,
  actor: string,
  reason: string,
  now: number,
): Promise<void> {
  await appendEvents(transaction, [
    {
      type: 'task.unblocked',
      entityType: 'task',
      entityId: id,
      taskId: id,
      actor,
      data: { status: 'pending', reason },
    },
  ]);
  await reopen(transaction, id, actor, 'it was unblocked', now);
}

/** A person takes what its agent only attested as done. @throws AppError not_found, forbidden, wrong_state */
export async function acceptTask({ database }: StandingContext, actor: Actor, id: string): Promise<TaskView> {
  requirePermission(actor, 'changes:decide');
  return database.transaction('tasks.accept', async (transaction) => {
    await requireAttested(transaction, actor, id);
    await setTaskStatus(transaction, {
      taskId: id,
      status: 'completed',
      waiting: null,
      actor: actor.name,
      reason: 'a person accepted it',
    });
    return getTask(transaction, id);
  });
}

/** It is pending again, with what must become different. @throws AppError not_found, forbidden, wrong_state */
export async function sendTaskBack(
  { database, now }: StandingContext,
  actor: Actor,
  id: string,
  comments: string,
): Promise<TaskView> {
  requirePermission(actor, 'changes:decide');
  return database.transaction('tasks.send_back', async (transaction) => {
    await requireAttested(transaction, actor, id);
    await transaction.many(
      sql`UPDATE tasks SET instructions = instructions || ${`\n\nSent back by ${actor.name}: ${comments}`} WHERE id = ${id}`,
    );
    await reopen(transaction, id, actor.name, `it was sent back: ${comments}`, now());
    return getTask(transaction, id);
  });
}

async function requireAttested(transaction: Transaction, actor: Actor, id: string): Promise<void> {
  const { status } = await lockTask(transaction, actor, id);
  const { attested } = await transaction.one<{ attested: boolean }>(
    sql`SELECT attested FROM tasks WHERE id = ${id}`,
  );
  if (status === 'in_review' && attested) return;
  throw new AppError(
    'wrong_state',
    status === 'in_review'
      ? 'The task has a change: merge that, or send it back.'
      : `The task is ${status}; only what stands in review is accepted or sent back.`,
  );
}

/** The deadline of a task's wait has come. */
export function endTaskWait(transaction: Transaction, taskId: string, now: number): Promise<void> {
  return endOfWait(transaction, taskId, now, {
    retry: (inner, id) => unblock(inner, id, 'control-plane', 'its deadline has come', now),
    fail: (inner, id, reason) =>
      setTaskStatus(inner, { taskId: id, status: 'failed', waiting: null, actor: 'control-plane', reason }),
  });
}
