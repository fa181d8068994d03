import type { BlockBody, HeartbeatView } from '../../../contract/claims.ts';
import type { TaskView } from '../../../contract/tasks.ts';
import type { Waiting } from '../../../contract/waiting.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { signOfLife } from '../../runs/sign-of-life.ts';
import type { Actor } from '../actor.ts';
import { unknownTask } from './task-rows.ts';
import { claimWait, setWaitTimer } from './waits.ts';

/** What a holder shows with every write; who has a token that is not the newest writes nothing. */
export interface Held {
  taskId: string;
  leaseToken: number;
  agent: { id: string; name: string };
}

/** A condition on `runs`: the live run of this task under this lease, of an agent that is not suspended. */
const holds = ({ taskId, leaseToken, agent }: Held): Sql =>
  sql`runs.task_id = ${taskId} AND ${holdsUnder(sql`${leaseToken}`, agent)}`;

/** The same of any task. A run with a place is a foreign agent's; said so, it is looked for by its task. */
export const holdsUnder = (leaseToken: Sql, agent: Held['agent']): Sql =>
  sql`runs.slot IS NOT NULL AND runs.ended_at IS NULL AND runs.lease_token = ${leaseToken}
    AND runs.worker_id = ${agent.id}
    AND NOT EXISTS (SELECT FROM agents WHERE agents.id = ${agent.id} AND suspended_at IS NOT NULL)`;

/** Keeps the lease. @throws AppError stale_lease, forbidden, not_found */
export async function heartbeatTask(
  database: Database,
  held: Held,
  beat: { leaseSeconds?: number | undefined; now: number },
): Promise<HeartbeatView> {
  const [state] = await database.write<HeartbeatView>(
    'tasks.heartbeat',
    // The agent's row before the run's, as a claim takes them.
    sql`WITH holder AS MATERIALIZED (
          SELECT online, last_seen_at FROM agents WHERE id = ${held.agent.id} FOR NO KEY UPDATE
        ), beat AS (
          UPDATE runs SET heartbeat = heartbeat + 1, lease_seconds = coalesce(${beat.leaseSeconds ?? null}::integer, lease_seconds)
          WHERE EXISTS (SELECT FROM holder) AND ${holds(held)} RETURNING lease_seconds,
            CASE WHEN control = 'go' AND EXISTS (SELECT FROM halt) THEN 'pause' ELSE control END AS control
        ), ${signOfLife(held.agent.id, beat.now)}
        SELECT control, lease_seconds AS "leaseSeconds" FROM beat`,
  );
  return state ?? refuseHolder(database, held);
}

/** Gives a task back to the others. @throws AppError stale_lease, forbidden, not_found */
export async function releaseTask(
  database: Database,
  held: Held,
  release: { reason: string; now: number },
): Promise<void> {
  const waiting = claimWait(release.now);
  await database.transaction('tasks.release', async (transaction) => {
    await endHeldRun(transaction, held, `released${release.reason === '' ? '' : `: ${release.reason}`}`);
    await transaction.many(
      sql`WITH freed AS (
            UPDATE tasks SET status = 'pending', ready_at = now(), waiting = ${json(waiting)}, updated_at = now(),
              version = version + 1, lost_leases = 0 WHERE id = ${held.taskId} RETURNING id
          ), ${told(held, 'task.released', { status: 'pending', reason: release.reason })}
          SELECT id FROM freed`,
    );
    await setWaitTimer(transaction, held.taskId, waiting);
  });
}

/** The task stands until somebody unblocks it, or until its deadline. @throws AppError stale_lease, forbidden, not_found */
export async function blockTask(
  database: Database,
  held: Held,
  block: Omit<BlockBody, 'leaseToken'>,
): Promise<void> {
  await database.transaction('tasks.block', async (transaction) => {
    const runId = await endHeldRun(transaction, held, `blocked: ${block.reason}`);
    await standBlocked(transaction, held.taskId, held.agent.name, block, runId);
  });
}

/** @throws AppError not_found, wrong_state where somebody works on it */
export async function blockUnheld(
  database: Database,
  actor: Actor,
  taskId: string,
  block: Omit<BlockBody, 'leaseToken'>,
): Promise<void> {
  await database.transaction('tasks.block', async (transaction) => {
    const task = await transaction.maybe<{ status: TaskView['status']; live: string | null }>(
      sql`SELECT status, (SELECT id FROM runs WHERE task_id = tasks.id AND ended_at IS NULL LIMIT 1) AS live
          FROM tasks WHERE id = ${taskId} FOR UPDATE`,
    );
    if (task === undefined) throw unknownTask(taskId);
    if (task.status !== 'pending' || task.live !== null) {
      throw new AppError(
        'wrong_state',
        `The task is ${task.status}${task.live === null ? '' : ` and ${task.live} works on it`}: without a leaseToken only a pending task that nobody has is blocked.`,
      );
    }
    await standBlocked(transaction, taskId, actor.name, block, null);
  });
}

async function standBlocked(
  transaction: Transaction,
  taskId: string,
  actor: string,
  block: Omit<BlockBody, 'leaseToken'>,
  runId: string | null,
): Promise<void> {
  const waiting: Waiting = {
    on: 'blocker',
    ref: runId,
    reason: block.reason,
    owner: block.owner,
    deadline: new Date(block.deadline).toISOString(),
    atDeadline: block.atDeadline,
  };
  await transaction.many(
    sql`WITH stood AS (
          UPDATE tasks SET status = 'blocked', ready_at = NULL, waiting = ${json(waiting)}, updated_at = now(),
            version = version + 1 WHERE id = ${taskId} RETURNING id, project_id
        )
        INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
        SELECT 'evt_' || gen_random_uuid(), 'task.blocked', 'task', id, id, ${runId}, ${actor}::text,
          ${json({ status: 'blocked', waiting })}, project_id FROM stood`,
  );
  await setWaitTimer(transaction, taskId, waiting);
}

/** The holder's run ends, and its lease with it. @throws AppError stale_lease, forbidden, not_found */
async function endHeldRun(transaction: Transaction, held: Held, outcome: string): Promise<string> {
  // Whoever takes both locks the task first.
  await transaction.many(sql`SELECT id FROM tasks WHERE id = ${held.taskId} FOR UPDATE`);
  const run = await transaction.maybe<{ id: string }>(
    sql`UPDATE runs SET status = 'stopped', outcome = ${outcome}, worker_id = NULL, ended_at = now(),
          version = version + 1 WHERE ${holds(held)} RETURNING id`,
  );
  return run === undefined ? refuseHolder(transaction, held) : run.id;
}

function told(held: Held, type: 'task.released', data: Record<string, unknown>): Sql {
  return sql`told AS (
    INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, actor, data)
    SELECT 'evt_' || gen_random_uuid(), ${type}::text, 'task', id, id, ${held.agent.name}::text, ${json(data)} FROM freed)`;
}

/** Why a write under this lease touched nothing. */
export async function refuseHolder(database: Queryable, held: Held): Promise<never> {
  const task = await database.maybe<{
    status: TaskView['status'];
    holder: string | null;
    suspended: boolean;
  }>(
    sql`SELECT tasks.status, runs.agent_id AS holder,
          EXISTS (SELECT FROM agents WHERE id = ${held.agent.id} AND suspended_at IS NOT NULL) AS suspended
        FROM tasks LEFT JOIN runs ON runs.task_id = tasks.id AND runs.kind = 'external' AND runs.ended_at IS NULL
        WHERE tasks.id = ${held.taskId}`,
  );
  if (task === undefined) throw unknownTask(held.taskId);
  if (task.suspended) throw new AppError('forbidden', `${held.agent.name} is suspended; it changes nothing.`);
  if (task.holder !== null && task.holder !== held.agent.id)
    throw new AppError('stale_lease', 'Another agent holds the task. Stop working on it, and claim another.');
  throw new AppError(
    'stale_lease',
    `This lease is over, and the task is ${task.status}. Stop working on it; what you still write is refused.`,
  );
}
