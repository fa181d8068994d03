import type { Queryable, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { findBudget } from '../budgets/budgets.ts';
import { queueRun, type RunOrigin } from '../runs/runs.ts';
import { setTaskStatus } from '../tasks/tasks.ts';
import { type ChangeContext, findUnderway, lockChange, requireOperator } from './branch-queue.ts';

export interface SendBack {
  changeId: string;
  /** A principal's name, or `control-plane`. */
  by: string;
  comments: string;
  now: number;
  dayLimitMicros: number;
  /** Where the work goes on; the change's own commit on its own base where it is not given. */
  origin?: Omit<RunOrigin, 'changeId'>;
}

/**
 * Sends a change back to its agent: the task is pending again, with a run that starts from the change and
 * reads the comments first. The same words of the same person again name the same run; where that failed, the
 * change can be sent back anew.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function requestSendBack(
  context: ChangeContext,
  actor: Actor,
  changeId: string,
  comments: string,
): Promise<string> {
  requireOperator(actor, 'send back');
  return context.database.transaction('changes.send_back', async (transaction) => {
    const change = await lockChange(transaction, changeId);
    if (change.status === 'sent_back') {
      const repeated = await findRepeated(transaction, { changeId, by: actor.name, comments });
      if (repeated !== undefined) return repeated.id;
    }
    const underway = await findUnderway(transaction, changeId);
    if (underway !== undefined) {
      throw new AppError(
        'wrong_state',
        `the change is being merged by ${underway.id}; stop that first (mission stop ${underway.id}), or let it end`,
      );
    }
    const { now, dayLimitMicros } = context;
    return sendBack(transaction, { changeId, by: actor.name, comments, now: now(), dayLimitMicros });
  });
}

/** Part of the caller's transaction. @returns the run that goes on with it. @throws AppError not_found, wrong_state */
export async function sendBack(transaction: Transaction, request: SendBack): Promise<string> {
  const { changeId, by, comments, now, dayLimitMicros } = request;
  const change = await lockChange(transaction, changeId);
  const again = change.status === 'sent_back' && !(await isWorkedOn(transaction, changeId, change.taskId));
  if (change.status !== 'ready' && !again) {
    const state = change.status === 'sent_back' ? 'sent back and worked on' : change.status;
    throw new AppError('wrong_state', `the change is ${state}; only a ready change is sent back`);
  }
  const { baseCommit, commit } = await transaction.one<{ baseCommit: string; commit: string }>(
    sql`UPDATE changes SET status = 'sent_back', sent_back_by = ${by}, sent_back_comments = ${comments},
          sent_back_at = date_trunc('milliseconds', now()), updated_at = now()
        WHERE id = ${changeId} RETURNING base_commit AS "baseCommit", commit`,
  );
  await appendEvents(transaction, [
    {
      type: 'change.sent_back',
      entityType: 'change',
      entityId: changeId,
      taskId: change.taskId,
      actor: by,
      data: { comments },
    },
  ]);
  await setTaskStatus(transaction, {
    taskId: change.taskId,
    status: 'pending',
    waiting: null,
    actor: by,
    reason: 'its change was sent back',
  });
  const budget = await findBudget(transaction, 'run', change.runId);
  return queueRun(transaction, {
    taskId: change.taskId,
    agentId: change.agentId,
    model: change.model,
    kind: 'task',
    changeId: null,
    origin: { base: baseCommit, start: commit, uncommitted: false, ...request.origin, changeId },
    actor: by,
    now,
    limitMicros: budget?.limitMicros ?? 0,
    limitTokens: budget?.limitTokens ?? 0,
    dayLimitMicros,
  });
}

/** How often in a row the control plane itself has sent this work back, people's rounds in between ending the row. */
export async function countCollisions(database: Queryable, changeId: string): Promise<number> {
  const row = await database.one<{ rounds: number }>(
    sql`WITH RECURSIVE earlier AS (
          SELECT supersedes FROM changes WHERE id = ${changeId}
          UNION ALL
          SELECT changes.supersedes FROM earlier JOIN changes ON changes.id = earlier.supersedes
          WHERE changes.sent_back_by = 'control-plane'
        )
        SELECT (count(*) - 1)::integer AS rounds FROM earlier`,
  );
  return row.rounds;
}

/** Whether somebody still works on what was sent back, or has delivered since, or nobody shall any more. */
async function isWorkedOn(transaction: Transaction, changeId: string, taskId: string): Promise<boolean> {
  const row = await transaction.one<{ worked: boolean }>(
    sql`SELECT EXISTS (SELECT FROM runs WHERE task_id = ${taskId} AND kind = 'task' AND ended_at IS NULL)
          OR EXISTS (SELECT FROM changes WHERE supersedes = ${changeId})
          OR EXISTS (SELECT FROM tasks WHERE id = ${taskId} AND status IN ('completed', 'cancelled')) AS worked`,
  );
  return row.worked;
}

async function findRepeated(
  transaction: Transaction,
  request: { changeId: string; by: string; comments: string },
): Promise<{ id: string } | undefined> {
  return transaction.maybe<{ id: string }>(
    sql`SELECT runs.id FROM changes JOIN runs ON runs.task_id = changes.task_id AND runs.origin ->> 'changeId' = changes.id
        WHERE changes.id = ${request.changeId} AND changes.sent_back_by = ${request.by}
          AND changes.sent_back_comments = ${request.comments} AND runs.status NOT IN ('failed', 'stopped')
        ORDER BY runs.id LIMIT 1`,
  );
}
