import type { Waiting } from '../../../contract/waiting.ts';
import type { Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import { setTimer } from '../../runs/timers.ts';

const reminderMs = 24 * 3_600_000;

/** A task that is ready for whichever agent claims it. @param now milliseconds since 1970 */
export function claimWait(now: number): Waiting {
  return {
    on: 'queue',
    ref: null,
    reason: 'waits for an agent that claims it',
    owner: 'agents',
    deadline: new Date(now + reminderMs).toISOString(),
    atDeadline: 'remind',
  };
}

/** @param tasks those that are not completed, one at least */
export function dependencyWait(now: number, tasks: readonly string[]): Waiting {
  const named = tasks.slice(0, 10).join(', ');
  return {
    on: 'blocker',
    ref: tasks[0] ?? null,
    reason: `waits until ${named}${tasks.length > 10 ? ` and ${tasks.length - 10} more` : ''} ${tasks.length === 1 ? 'is' : 'are'} completed`,
    owner: 'operators',
    deadline: new Date(now + reminderMs).toISOString(),
    atDeadline: 'remind',
  };
}

export function reviewWait(now: number, ref: string, reason: string): Waiting {
  return {
    on: 'review',
    ref,
    reason,
    owner: 'operators',
    deadline: new Date(now + reminderMs).toISOString(),
    atDeadline: 'remind',
  };
}

/** What the deadline of the task's wait does is due then: see `endOfWait`. */
export function setWaitTimer(transaction: Transaction, taskId: string, waiting: Waiting): Promise<void> {
  return setTimer(transaction, {
    kind: 'task.reminder',
    ref: taskId,
    dueAt: Date.parse(waiting.deadline),
  });
}

interface WaitingTask {
  status: string;
  waiting: Waiting;
}

/**
 * The deadline of a task's wait has come: its owner is told, and where it says so the task is tried again or fails.
 * A timer of a wait that is over does nothing.
 */
export async function endOfWait(
  transaction: Transaction,
  taskId: string,
  now: number,
  defaults: {
    retry: (transaction: Transaction, taskId: string) => Promise<void>;
    fail: (transaction: Transaction, taskId: string, reason: string) => Promise<void>;
  },
): Promise<void> {
  const task = await transaction.maybe<WaitingTask>(
    sql`SELECT status, waiting FROM tasks WHERE id = ${taskId} AND waiting IS NOT NULL
          AND status IN ('pending', 'blocked', 'in_review') FOR UPDATE`,
  );
  if (task === undefined) return;
  const { waiting } = task;
  if (Date.parse(waiting.deadline) > now) return setWaitTimer(transaction, taskId, waiting);
  await appendEvents(transaction, [
    {
      type: 'task.overdue',
      entityType: 'task',
      entityId: taskId,
      taskId,
      actor: 'control-plane',
      data: { waiting },
    },
  ]);
  if (waiting.atDeadline === 'retry') return defaults.retry(transaction, taskId);
  if (waiting.atDeadline === 'fail')
    return defaults.fail(transaction, taskId, `nobody ended its wait in time: ${waiting.reason}`);
  const later = { ...waiting, deadline: new Date(now + reminderMs).toISOString() };
  await transaction.many(
    sql`UPDATE tasks SET waiting = ${json(later)}, version = version + 1 WHERE id = ${taskId}`,
  );
  await setWaitTimer(transaction, taskId, later);
}

/** The task's own deadline has come, and it has not ended: people are told once. */
export async function tellOverdue(transaction: Transaction, taskId: string): Promise<void> {
  const task = await transaction.maybe<{ status: string; deadline: string | null }>(
    sql`SELECT status, deadline FROM tasks WHERE id = ${taskId} AND deadline IS NOT NULL
          AND status NOT IN ('completed', 'failed', 'cancelled') FOR UPDATE`,
  );
  if (task === undefined) return;
  await appendEvents(transaction, [
    {
      type: 'task.overdue',
      entityType: 'task',
      entityId: taskId,
      taskId,
      actor: 'control-plane',
      data: { deadline: task.deadline, status: task.status },
    },
  ]);
}
