import type { Transaction } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';
import { withdrawAsks } from '../domain/asks/asks.ts';
import { settle } from '../domain/budgets/budgets.ts';
import { setTaskStatus } from '../domain/tasks/tasks.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { DriveResult } from '../runs/worker.ts';
import { isDiskFull } from './disk-room.ts';
import type { DriverParts } from './parts.ts';

const pauseReminderMs = 24 * 3_600_000;

/** Thrown between two acts where the run must come to rest here, carrying how. */
export class Rest extends Error {
  readonly result: DriveResult;
  constructor(result: DriveResult) {
    super('the run comes to rest');
    this.name = 'Rest';
    this.result = result;
  }
}

/** A person paused the run: it stands until somebody resumes or stops it, and is told of daily. */
export function pausedResult(parts: DriverParts): DriveResult {
  return {
    kind: 'park',
    status: 'paused',
    wakeAt: null,
    waiting: {
      on: 'pause',
      ref: null,
      reason: 'paused by a person; resume or stop it',
      owner: parts.settings.owner,
      deadline: new Date(parts.clock.now() + pauseReminderMs).toISOString(),
      atDeadline: 'remind',
    },
  };
}

/** The run ends without a change; its task with it. */
export function endedResult(
  run: { runId: string; taskId: string },
  status: 'failed' | 'stopped',
  outcome: string,
  moveTask: boolean,
): DriveResult {
  return {
    kind: 'end',
    status,
    outcome,
    settle: async (transaction) => {
      await closeUp(transaction, run.runId, outcome);
      if (!moveTask) return;
      await setTaskStatus(transaction, {
        taskId: run.taskId,
        status: status === 'failed' ? 'failed' : 'cancelled',
        waiting: null,
        actor: 'control-plane',
        reason: outcome,
      });
    },
  };
}

/** Nothing of an ended run stays open: asks are withdrawn, an open step is in doubt, its money settled. */
export async function closeUp(transaction: Transaction, runId: string, reason: string): Promise<void> {
  await withdrawAsks(transaction, runId);
  const open = await transaction.many<{ seq: number }>(
    sql`UPDATE steps SET status = 'in_doubt', ended_at = now(),
          error = ${json({ class: 'interrupted', message: reason })}
        WHERE run_id = ${runId} AND status = 'intended' RETURNING seq`,
  );
  for (const { seq } of open) await settle(transaction, { runId, seq, used: null });
}

/** Failures that end a run with a sentence for a person; every other one is a fault, and the run is tried again. */
const expected: ReadonlySet<ErrorCode> = new Set([
  'repository_unusable',
  'no_such_branch',
  'sandbox_unavailable',
  'setup_failed',
  'unprocessable',
  'invalid_request',
  'too_large',
  'conflict',
]);

export function isExpectedFailure(error: unknown): error is AppError {
  return error instanceof AppError && expected.has(error.code) && !isDiskFull(error);
}
