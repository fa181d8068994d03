import type { ChangeView } from '../../../contract/changes.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { takeTurn } from '../../runs/turns.ts';
import type { Actor } from '../actor.ts';
import { queueRun } from '../runs/runs.ts';

export interface ChangeContext {
  database: Database;
  now: () => number;
  dayLimitMicros: number;
}

export interface LockedChange {
  status: ChangeView['status'];
  taskId: string;
  runId: string;
  agentId: string;
  model: string;
  projectId: string;
  targetBranch: string;
}

/** @throws AppError not_found */
export async function lockChange(transaction: Transaction, id: string): Promise<LockedChange> {
  const change = await transaction.maybe<LockedChange>(
    sql`SELECT changes.status, changes.task_id AS "taskId", changes.run_id AS "runId", runs.agent_id AS "agentId",
          runs.model, tasks.project_id AS "projectId", changes.target_branch AS "targetBranch"
        FROM changes JOIN runs ON runs.id = changes.run_id JOIN tasks ON tasks.id = changes.task_id
        WHERE changes.id = ${id} FOR UPDATE OF changes`,
  );
  if (change === undefined)
    throw new AppError('not_found', `there is no change ${id}; list them with \`mission status\``);
  return change;
}

/** @throws AppError forbidden */
export function requireOperator(actor: Actor, verb: string): void {
  if (actor.role === 'admin' || actor.role === 'operator') return;
  throw new AppError('forbidden', `only operators and admins ${verb} changes`);
}

/** The run that moves the change's branch at this moment, or waits to. */
export async function findUnderway(
  transaction: Transaction,
  changeId: string,
): Promise<{ id: string; kind: 'merge' | 'revert' } | undefined> {
  return transaction.maybe<{ id: string; kind: 'merge' | 'revert' }>(
    sql`SELECT id, kind FROM runs
        WHERE change_id = ${changeId} AND kind IN ('merge', 'revert') AND ended_at IS NULL`,
  );
}

/**
 * Queues the run that moves the branch of a change, behind those that are about to move the same branch.
 * Asked again while it is under way, it names the same run.
 * @throws AppError not_found, wrong_state
 */
export async function queueOnBranch(
  transaction: Transaction,
  context: Pick<ChangeContext, 'now' | 'dayLimitMicros'>,
  request: {
    changeId: string;
    kind: 'merge' | 'revert';
    from: ChangeView['status'];
    actor: Pick<Actor, 'name'>;
  },
): Promise<string> {
  const { changeId, kind, from, actor } = request;
  const change = await lockChange(transaction, changeId);
  const underway = await findUnderway(transaction, changeId);
  if (underway?.kind === kind) return underway.id;
  if (change.status !== from)
    throw new AppError(
      'wrong_state',
      `the change is ${change.status}; only a ${from} change can be ${pastOf[kind]}`,
    );
  // Whoever queues on a branch of the repository does so alone: that is what gives the turns their order.
  await transaction.one(sql`SELECT id FROM projects WHERE id = ${change.projectId} FOR NO KEY UPDATE`);
  const runId = await queueRun(transaction, {
    taskId: change.taskId,
    agentId: change.agentId,
    model: change.model,
    kind,
    changeId,
    actor: actor.name,
    now: context.now(),
    limitMicros: 0,
    limitTokens: 0,
    dayLimitMicros: context.dayLimitMicros,
  });
  await takeTurn(transaction, runId, `${change.projectId} ${change.targetBranch}`);
  return runId;
}

const pastOf = { merge: 'merged', revert: 'reverted' } as const;
