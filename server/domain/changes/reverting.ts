import type { Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { type ChangeContext, queueOnBranch, requireOperator } from './branch-queue.ts';

/**
 * Queues the run that takes a merged change out of its branch again. Asked again while it is under way, it
 * names the same run.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function requestRevert(context: ChangeContext, actor: Actor, changeId: string): Promise<string> {
  requireOperator(actor, 'revert');
  return context.database.transaction('changes.revert', (transaction) =>
    queueOnBranch(transaction, context, { changeId, kind: 'revert', from: 'merged', actor }),
  );
}

/** The branch no longer holds what the change did. Its task stays completed, and is told of it. */
export async function recordRevert(
  transaction: Transaction,
  revert: { changeId: string; taskId: string; runId: string; commit: string; actor: string },
): Promise<void> {
  const { changeId, taskId, runId, commit, actor } = revert;
  await transaction.one(
    sql`UPDATE changes SET status = 'reverted', revert_commit = ${commit}, updated_at = now()
        WHERE id = ${changeId} AND status = 'merged' RETURNING id`,
  );
  const task = await transaction.one<{ status: string }>(
    sql`UPDATE tasks SET updated_at = now() WHERE id = ${taskId} RETURNING status`,
  );
  await appendEvents(transaction, [
    {
      type: 'change.reverted',
      entityType: 'change',
      entityId: changeId,
      runId,
      taskId,
      actor,
      data: { commit },
    },
    {
      type: 'task.updated',
      entityType: 'task',
      entityId: taskId,
      taskId,
      actor,
      data: { status: task.status, reason: 'its change was reverted', waiting: null },
    },
  ]);
}
