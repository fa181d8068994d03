import type { ChangeView, Receipt } from '../../../contract/changes.ts';
import type { Queryable, Transaction } from '../../database/database.ts';
import { empty, json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { setTimer } from '../../runs/timers.ts';
import { type Actor, ofVisibleTask } from '../actor.ts';
import { setTaskStatus } from '../tasks/tasks.ts';
import { type ChangeContext, queueOnBranch, requireOperator } from './branch-queue.ts';

const reviewReminderMs = 24 * 3_600_000;

const columns = sql`changes.id, changes.task_id AS "taskId", changes.run_id AS "runId", changes.title, changes.description,
  changes.base_commit AS "baseCommit", changes.commit, changes.target_branch AS "targetBranch",
  projects.location AS repository, changes.status, changes.receipt, changes.merged_commit AS "mergedCommit",
  changes.revert_commit AS "revertCommit", changes.supersedes,
  CASE WHEN sent_back_by IS NULL THEN NULL ELSE json_build_object('by', sent_back_by, 'comments', sent_back_comments,
    'at', to_char(sent_back_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END AS "sentBack",
  changes.version, changes.created_at AS "createdAt", changes.updated_at AS "updatedAt"`;
const tables = sql`changes JOIN tasks ON tasks.id = changes.task_id JOIN projects ON projects.id = tasks.project_id`;

export interface NewChange {
  id: string;
  taskId: string;
  runId: string;
  /** The change that was sent back and that this one is the answer to. */
  supersedes: string | null;
  title: string;
  description: string;
  baseCommit: string;
  commit: string;
  targetBranch: string;
  receipt: Receipt;
  actor: string;
  now: number;
}

/** A change that has its evidence: its task is in review from now on, in the same transaction. */
export async function offerChange(transaction: Transaction, change: NewChange): Promise<void> {
  await transaction.many(
    sql`INSERT INTO changes (id, task_id, run_id, supersedes, title, description, base_commit, commit, target_branch, status, receipt)
        VALUES (${change.id}, ${change.taskId}, ${change.runId}, ${change.supersedes}, ${change.title}, ${change.description},
          ${change.baseCommit}, ${change.commit}, ${change.targetBranch}, 'ready', ${json(change.receipt)})`,
  );
  await appendEvents(transaction, [
    {
      type: 'change.ready',
      entityType: 'change',
      entityId: change.id,
      runId: change.runId,
      taskId: change.taskId,
      actor: change.actor,
      data: {
        title: change.title,
        commit: change.commit,
        verdict: change.receipt.verdict,
        needsHuman: change.receipt.needsHuman,
        supersedes: change.supersedes,
      },
    },
  ]);
  await waitForReview(transaction, { ...change, reason: 'its change waits for a review' });
}

/** The task stands in review: it names the change, its reader and when it will remind. */
export async function waitForReview(
  transaction: Transaction,
  review: { taskId: string; id: string; actor: string; now: number; reason: string },
): Promise<void> {
  await setTaskStatus(transaction, {
    taskId: review.taskId,
    status: 'in_review',
    actor: review.actor,
    reason: review.reason,
    waiting: {
      on: 'review',
      ref: review.id,
      reason: review.reason,
      owner: 'operators',
      deadline: new Date(review.now + reviewReminderMs).toISOString(),
      atDeadline: 'remind',
    },
  });
  await setTimer(transaction, {
    kind: 'task.reminder',
    ref: review.taskId,
    dueAt: review.now + reviewReminderMs,
  });
}

/** @throws AppError not_found */
export async function getChange(database: Queryable, id: string): Promise<ChangeView> {
  const change = await database.maybe<ChangeView>(
    sql`SELECT ${columns} FROM ${tables} WHERE changes.id = ${id}`,
  );
  if (change === undefined)
    throw new AppError('not_found', `there is no change ${id}; list them with \`mission status\``);
  return change;
}

export async function listChanges(
  database: Queryable,
  filter: {
    taskId?: string | undefined;
    status?: string | undefined;
    /** Only what this actor sees. */
    actor?: Pick<Actor, 'projects'>;
    before?: string | undefined;
    limit: number;
  },
): Promise<ChangeView[]> {
  return database.many<ChangeView>(
    sql`SELECT ${columns} FROM ${tables} WHERE true
        ${filter.taskId === undefined ? empty : sql`AND changes.task_id = ${filter.taskId}`}
        ${filter.status === undefined ? empty : sql`AND changes.status = ${filter.status}`}
        ${filter.before === undefined ? empty : sql`AND changes.id < ${filter.before}`}
        ${ofVisibleTask(filter.actor, sql`changes.task_id`)}
        ORDER BY changes.id DESC LIMIT ${filter.limit}`,
  );
}

/**
 * Queues the run that merges a ready change. Asked again while it is under way, it names the same run.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function requestMerge(context: ChangeContext, actor: Actor, changeId: string): Promise<string> {
  requireOperator(actor, 'merge');
  return context.database.transaction('changes.merge', (transaction) =>
    queueOnBranch(transaction, context, { changeId, kind: 'merge', from: 'ready', actor }),
  );
}

/** The change is in the target branch: it is merged, and its task completed. */
export async function recordMerge(
  transaction: Transaction,
  merge: { changeId: string; taskId: string; runId: string; commit: string; actor: string },
): Promise<void> {
  await transaction.one(
    sql`UPDATE changes SET status = 'merged', merged_commit = ${merge.commit}, updated_at = now()
        WHERE id = ${merge.changeId} RETURNING id`,
  );
  await appendEvents(transaction, [
    {
      type: 'change.merged',
      entityType: 'change',
      entityId: merge.changeId,
      runId: merge.runId,
      taskId: merge.taskId,
      actor: merge.actor,
      data: { commit: merge.commit },
    },
  ]);
  await setTaskStatus(transaction, {
    taskId: merge.taskId,
    status: 'completed',
    waiting: null,
    actor: merge.actor,
    reason: 'its change was merged',
  });
}
