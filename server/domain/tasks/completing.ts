import type { TaskView } from '../../../contract/tasks.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { releaseDependents } from './dependencies.ts';
import { type Held, holds, refuseHolder } from './holding.ts';
import { reviewWait } from './waits.ts';

export interface Completion extends Held {
  result: Record<string, unknown> | undefined;
}

interface Completed {
  id: string;
  runId: string;
  status: TaskView['status'];
}

const attestation = 'its agent says that it is done, and no check proves it: accept it, or send it back';

/**
 * A foreign agent says that its task is done. Where the project wants no review it is completed, else it stands in
 * review; both are marked as attested. One statement with its event, unless other tasks wait for it or artifacts
 * come with it.
 * @throws AppError stale_lease, forbidden, not_found
 */
export async function completeTask(
  database: Database,
  completion: Completion & { artifacts?: readonly string[] | undefined },
  now: number,
): Promise<Completed> {
  const { artifacts = [] } = completion;
  const quick =
    artifacts.length > 0
      ? undefined
      : (await database.write<Completed>('tasks.complete', one(completion, now)))[0];
  return quick ?? completeSlowly(database, completion, artifacts, now);
}

/** Completes many of one agent, in one statement; what waits for them, or was refused, is looked at one by one. */
export async function completeTasks(
  database: Database,
  agent: Held['agent'],
  items: readonly Omit<Completion, 'agent'>[],
  now: number,
): Promise<(Completed | { id: string; status: null })[]> {
  const rows = await database.write<Completed>('tasks.complete', many(agent, items, now));
  const done = new Map(rows.map((row) => [row.id, row]));
  const results: (Completed | { id: string; status: null })[] = [];
  for (const item of items) {
    const { taskId: id } = item;
    results.push(done.get(id) ?? (await completeOr(database, { ...item, agent }, now)));
  }
  return results;
}

async function completeOr(
  database: Database,
  completion: Completion,
  now: number,
): Promise<Completed | { id: string; status: null }> {
  try {
    return await completeSlowly(database, completion, [], now);
  } catch (error) {
    if (error instanceof AppError && ['stale_lease', 'not_found', 'forbidden'].includes(error.code))
      return { id: completion.taskId, status: null };
    throw error;
  }
}

/** In one transaction with what follows from it: those that waited begin, and artifacts are the task's. */
async function completeSlowly(
  database: Database,
  completion: Completion,
  artifacts: readonly string[],
  now: number,
): Promise<Completed> {
  const { taskId, agent } = completion;
  return database.transaction('tasks.complete', async (transaction) => {
    await transaction.many(sql`SELECT id FROM tasks WHERE id = ${taskId} FOR UPDATE`);
    const done = await transaction.maybe<Completed & { dependents: number }>(
      one(completion, now, { alsoWithDependents: true }),
    );
    if (done === undefined) return refuseHolder(transaction, completion);
    await attach(transaction, completion, done.runId, artifacts);
    if (done.status === 'completed' && done.dependents > 0)
      await releaseDependents(transaction, taskId, agent.name);
    return { id: done.id, runId: done.runId, status: done.status };
  });
}

async function attach(
  transaction: Transaction,
  { taskId, agent }: Completion,
  runId: string,
  artifacts: readonly string[],
): Promise<void> {
  for (const id of artifacts) {
    const kept = await transaction.maybe(
      sql`UPDATE artifacts SET task_id = ${taskId}, run_id = coalesce(run_id, ${runId})
          WHERE id = ${id} AND (task_id = ${taskId} OR (task_id IS NULL AND created_by = ${agent.name})) RETURNING id`,
    );
    if (kept === undefined)
      throw new AppError('unprocessable', `there is no artifact ${id} of yours: upload it first`);
  }
}

function one(completion: Completion, now: number, options = { alsoWithDependents: false }): Sql {
  const { taskId, agent } = completion;
  return completeStatement({
    due: sql`SELECT tasks.id, projects.review_required, ${json(completion.result)} AS result,
          ${completion.leaseToken}::bigint AS token
        FROM tasks JOIN projects ON projects.id = tasks.project_id WHERE tasks.id = ${taskId}
          ${options.alsoWithDependents ? sql`` : sql`AND tasks.dependents = 0`} FOR UPDATE OF tasks`,
    heldBy: sql`${holds(completion)} AND due.id = runs.task_id`,
    agent,
    now,
  });
}

function many(agent: Held['agent'], items: readonly Omit<Completion, 'agent'>[], now: number): Sql {
  const given = items.map(({ taskId, leaseToken, result }) => ({ id: taskId, token: leaseToken, result }));
  return completeStatement({
    due: sql`SELECT tasks.id, projects.review_required, given.result, given.token
        FROM jsonb_to_recordset(${json(given)}) AS given (id text, token bigint, result jsonb)
          JOIN tasks ON tasks.id = given.id JOIN projects ON projects.id = tasks.project_id
        WHERE tasks.dependents = 0 ORDER BY tasks.id FOR UPDATE OF tasks`,
    heldBy: sql`runs.task_id = due.id AND runs.kind = 'external' AND runs.ended_at IS NULL
        AND runs.lease_token = due.token AND runs.worker_id = ${agent.id}
        AND NOT EXISTS (SELECT FROM agents WHERE agents.id = ${agent.id} AND suspended_at IS NOT NULL)`,
    agent,
    now,
  });
}

function completeStatement(parts: { due: Sql; heldBy: Sql; agent: Held['agent']; now: number }): Sql {
  const waiting = reviewWait(parts.now, '', attestation);
  return sql`WITH due AS MATERIALIZED (${parts.due}), held AS (
      UPDATE runs SET status = 'succeeded', outcome = 'attested by its agent', worker_id = NULL, ended_at = now()
      FROM due WHERE ${parts.heldBy}
      RETURNING runs.id, runs.task_id, due.review_required, due.result
    ), done AS (
      UPDATE tasks SET status = CASE WHEN held.review_required THEN 'in_review' ELSE 'completed' END,
        waiting = CASE WHEN held.review_required THEN ${json(waiting)} || jsonb_build_object('ref', held.id) END,
        result = held.result, attested = true, lost_leases = 0, updated_at = now(), version = version + 1
      FROM held WHERE tasks.id = held.task_id
      RETURNING tasks.id, tasks.project_id, tasks.status, tasks.waiting, tasks.dependents, held.id AS run_id
    ), reminded AS (
      INSERT INTO timers (id, due_at, kind, ref)
      SELECT 'tmr_' || run_id, ${waiting.deadline}::timestamptz, 'task.reminder', id FROM done WHERE status = 'in_review'
      ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at
    ), told AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
      SELECT 'evt_' || run_id || '_done', CASE status WHEN 'completed' THEN 'task.completed' ELSE 'task.updated' END,
        'task', id, id, run_id, ${parts.agent.name}::text,
        jsonb_build_object('status', status, 'attested', true, 'waiting', waiting,
          'reason', 'attested by its agent'), project_id FROM done
    )
    SELECT id, run_id AS "runId", status, dependents FROM done`;
}
