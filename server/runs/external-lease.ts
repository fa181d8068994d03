import type { Database } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';

/** So many holders in a row that fell silent on a task end it: something about it ends whoever takes it. */
const mostLost = 8;
const reminderMs = 24 * 3_600_000;

/**
 * Ends the lease of a foreign agent that fell silent: its run is over, and the task is for others to claim, with
 * their event, in one statement. A heartbeat that comes first keeps the lease.
 */
export async function expireExternalLease(
  database: Database,
  run: { id: string; taskId: string; workerId: string; token: number; heartbeat: number },
  now: number,
): Promise<void> {
  const cause = 'its holder gave no sign of life';
  const deadline = new Date(now + reminderMs).toISOString();
  const waiting = {
    on: 'queue',
    ref: null,
    reason: 'its last holder fell silent; it waits for an agent that claims it',
    owner: 'agents',
    deadline,
    atDeadline: 'remind',
  };
  await database.write(
    'tasks.expire',
    sql`WITH due AS MATERIALIZED (
          SELECT id FROM tasks WHERE id = ${run.taskId} FOR UPDATE
        ), expired AS (
          UPDATE runs SET status = 'failed', outcome = 'lease expired: ' || ${cause}::text, worker_id = NULL,
            lease_token = lease_token + 1, ended_at = now(), version = version + 1
          FROM due WHERE runs.id = ${run.id} AND runs.task_id = due.id AND runs.lease_token = ${run.token}
            AND runs.heartbeat = ${run.heartbeat} AND runs.worker_id IS NOT NULL
          RETURNING runs.id, runs.task_id
        ), freed AS (
          UPDATE tasks SET lost_leases = lost_leases + 1, updated_at = now(), version = version + 1,
            status = CASE WHEN lost_leases + 1 < ${mostLost}::integer THEN 'pending' ELSE 'failed' END,
            ready_at = CASE WHEN lost_leases + 1 < ${mostLost}::integer THEN now() END,
            waiting = CASE WHEN lost_leases + 1 < ${mostLost}::integer THEN ${json(waiting)} END
          FROM expired WHERE tasks.id = expired.task_id AND tasks.status = 'in_progress'
          RETURNING tasks.id, tasks.project_id, tasks.status, tasks.waiting, tasks.lost_leases, expired.id AS run_id
        ), reminded AS (
          INSERT INTO timers (id, due_at, kind, ref)
          SELECT 'tmr_' || run_id, ${deadline}::timestamptz, 'task.reminder', id FROM freed WHERE status = 'pending'
          ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at
        )
        INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
        SELECT 'evt_' || run_id || '_lost', 'task.lease_expired', 'task', id, id, run_id, 'control-plane',
          jsonb_build_object('status', status, 'agent', ${run.workerId}::text, 'cause', ${cause}::text, 'waiting', waiting),
          project_id FROM freed
        UNION ALL
        SELECT 'evt_' || run_id || '_failed', 'task.failed', 'task', id, id, run_id, 'control-plane',
          jsonb_build_object('status', status, 'reason', lost_leases || ' agents in a row fell silent on it'),
          project_id FROM freed WHERE status = 'failed'`,
  );
}
