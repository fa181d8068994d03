import type { Waiting } from '../../contract/waiting.ts';
import type { Database, Queryable, Transaction } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';
import { LeaseLost } from '../errors.ts';
import { appendEvents } from '../events/append.ts';

/** The right to drive one run, until somebody claims it with a higher token. */
export interface Lease {
  runId: string;
  taskId: string;
  workerId: string;
  token: number;
}

export interface ClaimedRun extends Lease {
  kind: 'task' | 'merge' | 'revert' | 'push';
  /** The `traceparent` of the request that asked for it; null where none did. */
  traceParent: string | null;
}

/**
 * Claims due runs in a batch, none while everything is stopped. The token rises with every claim, so that whatever an earlier holder still
 * writes is refused.
 * @param now wall time by the injected clock
 */
export async function claimRuns(
  database: Database,
  claim: { workerId: string; limit: number; leaseSeconds: number; now: number },
): Promise<ClaimedRun[]> {
  return database.write<ClaimedRun>(
    'runs.claim',
    sql`WITH due AS (
          SELECT id FROM runs
          WHERE wake_at <= ${new Date(claim.now).toISOString()}::timestamptz AND worker_id IS NULL
            AND NOT EXISTS (SELECT FROM halt)
          ORDER BY wake_at LIMIT ${claim.limit} FOR UPDATE SKIP LOCKED
        ), claimed AS (
          UPDATE runs SET worker_id = ${claim.workerId}, lease_token = lease_token + 1,
            lease_seconds = ${claim.leaseSeconds}, status = 'running', waiting = NULL, wake_at = NULL,
            started_at = coalesce(started_at, now()),
            sandbox = (SELECT sandbox FROM workers WHERE id = ${claim.workerId})
          FROM due WHERE runs.id = due.id
          RETURNING runs.id, runs.task_id, runs.kind, runs.lease_token, runs.trace_parent
        ), told AS (
          INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
          SELECT 'evt_' || claimed.id || '_' || lease_token, 'run.claimed', 'run', claimed.id, task_id, claimed.id,
            ${claim.workerId}::text, jsonb_build_object('token', lease_token) FROM claimed
        )
        SELECT id AS "runId", task_id AS "taskId", kind, lease_token AS token, trace_parent AS "traceParent",
          ${claim.workerId}::text AS "workerId" FROM claimed`,
  );
}

/** What the holder of a lease learns with every write and heartbeat. */
export interface LeaseState {
  control: 'go' | 'pause' | 'stop';
  wakeCount: number;
}

/**
 * Locks the run's row for this transaction and checks the token: every write of a run begins with it.
 * @throws LeaseLost where a newer token exists
 */
export async function holdLease(transaction: Queryable, lease: Lease): Promise<LeaseState> {
  const state = await transaction.maybe<LeaseState>(
    sql`SELECT control, wake_count AS "wakeCount" FROM runs
        WHERE id = ${lease.runId} AND lease_token = ${lease.token} AND worker_id = ${lease.workerId} FOR SHARE`,
  );
  if (state === undefined) throw new LeaseLost(lease.runId);
  return state;
}

/**
 * Lets go of a run that has to wait. False where it was woken since `seenWakeCount`, or is to be paused though
 * nobody wants that any more: look again instead.
 */
export async function parkRun(
  database: Database,
  lease: Lease,
  park: { waiting: Waiting; wakeAt: number | null; status: 'waiting' | 'paused'; seenWakeCount: number },
): Promise<boolean> {
  return database.transaction('runs.park', async (transaction) => {
    const row = await transaction.maybe(
      sql`UPDATE runs SET status = ${park.status}, worker_id = NULL, waiting = ${json(park.waiting)},
            wake_at = ${park.wakeAt === null ? null : new Date(park.wakeAt).toISOString()}::timestamptz
          WHERE id = ${lease.runId} AND lease_token = ${lease.token} AND worker_id = ${lease.workerId}
            AND wake_count = ${park.seenWakeCount} AND (control = 'pause' OR ${park.status}::text <> 'paused')
          RETURNING id`,
    );
    if (row === undefined) {
      await holdLease(transaction, lease);
      return false;
    }
    await appendEvents(transaction, [
      runEvent(lease, park.status === 'paused' ? 'run.paused' : 'run.waiting', { waiting: park.waiting }),
    ]);
    return true;
  });
}

/** Gives a run back to the queue, to go on where it is; `cause` where its driver failed. */
export async function releaseRun(
  database: Database,
  lease: Lease,
  options: { wakeAt: number; waiting: Waiting; failed: boolean; cause: string },
): Promise<void> {
  await database.transaction('runs.release', async (transaction) => {
    const row = await transaction.maybe(
      sql`UPDATE runs SET status = 'queued', worker_id = NULL, wake_at = ${new Date(options.wakeAt).toISOString()}::timestamptz,
            waiting = ${json(options.waiting)} ${options.failed ? countFailure : sql``}
          WHERE id = ${lease.runId} AND lease_token = ${lease.token} AND worker_id = ${lease.workerId} RETURNING id`,
    );
    if (row !== undefined)
      await appendEvents(transaction, [runEvent(lease, 'run.released', { cause: options.cause })]);
  });
}

/** SET items that count a failure, from one again where the run has got further since the last. */
export const countFailure = sql`,
  failures = CASE WHEN (SELECT coalesce(max(seq), 0) FROM steps WHERE run_id = runs.id) > failed_at_seq
    THEN 1 ELSE failures + 1 END,
  failed_at_seq = (SELECT coalesce(max(seq), 0) FROM steps WHERE run_id = runs.id)`;

export type RunEnd = 'succeeded' | 'failed' | 'stopped';

/** Ends a run once and for all, with what else must become true at the same moment. */
export async function endRun(
  database: Database,
  lease: Lease,
  end: {
    status: RunEnd;
    outcome: string;
    settle?: ((transaction: Transaction) => Promise<void>) | undefined;
  },
): Promise<void> {
  await database.transaction('runs.end', async (transaction) => {
    await holdLease(transaction, lease);
    await transaction.one(
      sql`UPDATE runs SET status = ${end.status}, outcome = ${end.outcome}, worker_id = NULL, wake_at = NULL,
            waiting = NULL, ended_at = now() WHERE id = ${lease.runId} RETURNING id`,
    );
    await end.settle?.(transaction);
    await appendEvents(transaction, [runEvent(lease, `run.${end.status}`, { outcome: end.outcome })]);
  });
}

/** Makes a run look again at what it waits for, whoever holds it. Part of the caller's transaction. */
export async function wakeRun(
  transaction: Queryable,
  wake: { runId: string; actor: string; now: number; reason: string },
): Promise<void> {
  const row = await transaction.maybe<{ taskId: string }>(
    sql`UPDATE runs SET wake_count = wake_count + 1,
          wake_at = CASE WHEN worker_id IS NULL AND ended_at IS NULL
            THEN ${new Date(wake.now).toISOString()}::timestamptz ELSE wake_at END
        WHERE id = ${wake.runId} AND ended_at IS NULL RETURNING task_id AS "taskId"`,
  );
  if (row === undefined) return;
  await appendEvents(transaction, [
    {
      type: 'run.woken',
      entityType: 'run',
      entityId: wake.runId,
      runId: wake.runId,
      taskId: row.taskId,
      actor: wake.actor,
      data: { reason: wake.reason },
    },
  ]);
}

function runEvent(
  lease: Lease,
  type: 'run.paused' | 'run.waiting' | 'run.released' | `run.${RunEnd}`,
  data: Record<string, unknown>,
) {
  return {
    type,
    entityType: 'run' as const,
    entityId: lease.runId,
    runId: lease.runId,
    taskId: lease.taskId,
    actor: lease.workerId,
    data,
  };
}
