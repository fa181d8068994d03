import type { Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { queueRun } from '../runs/runs.ts';
import { type ChangeContext, lockChange, requireOperator } from './branch-queue.ts';

/**
 * Queues the run that pushes a change's branch to its forge, once a person has approved exactly that. Asked
 * again while it is under way, it names the same run.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function requestPush(context: ChangeContext, actor: Actor, changeId: string): Promise<string> {
  requireOperator(actor, 'push');
  return context.database.transaction('changes.push', async (transaction) => {
    const change = await lockChange(transaction, changeId);
    const underway = await transaction.maybe<{ id: string }>(
      sql`SELECT id FROM runs WHERE change_id = ${changeId} AND kind = 'push' AND ended_at IS NULL`,
    );
    if (underway !== undefined) return underway.id;
    if (change.status !== 'ready' && change.status !== 'merged') {
      throw new AppError(
        'wrong_state',
        `the change is ${change.status}; only a ready or merged change can be pushed`,
      );
    }
    return queueRun(transaction, {
      taskId: change.taskId,
      agentId: change.agentId,
      model: change.model,
      kind: 'push',
      changeId,
      actor: actor.name,
      now: context.now(),
      limitMicros: 0,
      limitTokens: 0,
      dayLimitMicros: context.dayLimitMicros,
    });
  });
}

/** The forge has the change's branch. */
export async function recordPush(
  transaction: Transaction,
  push: {
    changeId: string;
    taskId: string;
    runId: string;
    actor: string;
    url: string;
    branch: string;
    commit: string;
  },
): Promise<void> {
  const { changeId, taskId, runId, actor, ...data } = push;
  await appendEvents(transaction, [
    { type: 'change.pushed', entityType: 'change', entityId: changeId, runId, taskId, actor, data },
  ]);
}
