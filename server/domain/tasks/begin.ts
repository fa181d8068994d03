import type { Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { queueRun } from '../runs/runs.ts';
import type { RunPlan } from './plans.ts';
import { claimWait, dependencyWait, setWaitTimer } from './waits.ts';

interface Beginner {
  plan: RunPlan | null;
  openDependencies: number;
}

/**
 * Lets a pending task begin, as far as it may: it waits for the tasks that it depends on, or its run is queued, or
 * agents may claim it. The caller holds its row.
 * @returns the run that was queued, if one was
 */
export async function beginTask(
  transaction: Transaction,
  begin: { taskId: string; actor: string; now: number },
): Promise<string | null> {
  const { taskId, actor, now } = begin;
  const { plan, openDependencies } = await transaction.one<Beginner>(
    sql`SELECT plan, open_dependencies AS "openDependencies" FROM tasks WHERE id = ${taskId}`,
  );
  if (openDependencies > 0) {
    const open = await transaction.many<{ id: string }>(
      sql`SELECT tasks.id FROM task_dependencies JOIN tasks ON tasks.id = depends_on
          WHERE task_id = ${taskId} AND tasks.status <> 'completed' ORDER BY tasks.id`,
    );
    const waiting = dependencyWait(
      now,
      open.map(({ id }) => id),
    );
    await transaction.many(
      sql`UPDATE tasks SET waiting = ${json(waiting)}, ready_at = NULL WHERE id = ${taskId}`,
    );
    await setWaitTimer(transaction, taskId, waiting);
    return null;
  }
  if (plan === null) {
    const waiting = claimWait(now);
    await transaction.many(
      sql`UPDATE tasks SET waiting = ${json(waiting)}, ready_at = now() WHERE id = ${taskId}`,
    );
    await setWaitTimer(transaction, taskId, waiting);
    return null;
  }
  await transaction.many(sql`UPDATE tasks SET waiting = NULL, ready_at = NULL WHERE id = ${taskId}`);
  return queueRun(transaction, { ...plan, taskId, kind: 'task', changeId: null, actor, now });
}

/**
 * Takes back what `beginTask` did, while nobody has taken the task up: a queued run ends before it began. The
 * caller holds the task's row.
 * @throws AppError wrong_state where somebody works on it
 */
export async function holdBack(transaction: Transaction, taskId: string, actor: string): Promise<void> {
  const ended = await transaction.many<{ id: string }>(
    sql`UPDATE runs SET status = 'stopped', outcome = 'taken back before it began', ended_at = now(), waiting = NULL,
          wake_at = NULL, before_halt = NULL
        WHERE task_id = ${taskId} AND kind = 'task' AND ended_at IS NULL AND worker_id IS NULL AND started_at IS NULL
        RETURNING id`,
  );
  await appendEvents(
    transaction,
    ended.map(({ id }) => ({
      type: 'run.stopped' as const,
      entityType: 'run' as const,
      entityId: id,
      runId: id,
      taskId,
      actor,
      data: { outcome: 'taken back before it began' },
    })),
  );
  const live = await transaction.maybe<{ id: string }>(
    sql`SELECT id FROM runs WHERE task_id = ${taskId} AND ended_at IS NULL LIMIT 1`,
  );
  if (live !== undefined) {
    throw new AppError('wrong_state', `${live.id} works on it; stop that run, or wait until it has ended.`);
  }
  await transaction.many(sql`UPDATE tasks SET ready_at = NULL WHERE id = ${taskId}`);
}
