import type { TaskView } from '../../../contract/tasks.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import {
  type Claim,
  type ClaimedRow,
  type ClaimRequest,
  claimedColumns,
  claimParts,
  freePlaces,
  holderPart,
  inOrder,
  presentClaim,
  trying,
} from './claims.ts';
import { releaseDependents } from './dependencies.ts';
import { type Held, holdsUnder, refuseHolder } from './holding.ts';
import { taskJoins } from './task-rows.ts';
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

export type Item = Omit<Completion, 'agent'>;
export type ItemResult = Completed | { id: string; status: null };

/** Completes many of one agent, in one statement; what waits for them, or was refused, is looked at one by one. */
export async function completeTasks(
  database: Database,
  agent: Held['agent'],
  items: readonly Item[],
  now: number,
): Promise<ItemResult[]> {
  const parts = completeParts({ given: givenMany(items), agent, now, alsoWithDependents: false });
  const rows = await database.write<Completed>('tasks.complete', sql`WITH ${parts} ${completed}`);
  return eachResult(database, agent, items, rows, now);
}

/**
 * Completes many, as `completeTasks` does, and claims the next under the same commit. The places of what is completed
 * are free for what is claimed; who asks for no more than it hands in gets no others.
 */
export async function completeAndClaim(
  database: Database,
  request: ClaimRequest,
  items: readonly Item[],
): Promise<{ done: ItemResult[]; claims: Claim[] }> {
  const { agent, now } = request;
  const given = givenMany(items);
  // What is handed in leaves places enough, and nobody has to look for others.
  const places = request.count <= items.length ? freedPlaces : freePlaces(request, sql`ended`);
  const rows = await trying((sign) =>
    database.write<ClaimedRow & { done: Completed[] | null; claimed: boolean }>(
      'tasks.complete-and-claim',
      sql`WITH ${holderPart(request, sign, 'durably')},
          ${completeParts({ given, agent, now, alsoWithDependents: false, holder: sql`holder` })},
          ${claimParts(request, sign, places)},
          finished AS (SELECT coalesce(json_agg(json_build_object('id', id, 'runId', run_id, 'status', status)), '[]')
            AS done FROM done)
        SELECT CASE WHEN coalesce(tasks.place, 1) = 1 THEN finished.done END AS done, tasks.place IS NOT NULL AS claimed,
          ${claimedColumns}
        FROM holder CROSS JOIN finished LEFT JOIN (claimed AS tasks ${taskJoins}) ON true ${inOrder(request)}`,
    ),
  );
  const done = rows.flatMap((row) => row.done ?? []);
  const claims = rows
    .filter(({ claimed }) => claimed)
    .map(({ done: _, claimed: __, ...row }) => presentClaim(row, request));
  return { done: await eachResult(database, agent, items, done, now), claims };
}

const freedPlaces = sql`places AS MATERIALIZED (SELECT array_agg(slot) AS slots, count(*) AS room FROM ended)`;

async function eachResult(
  database: Database,
  agent: Held['agent'],
  items: readonly Item[],
  rows: readonly Completed[],
  now: number,
): Promise<ItemResult[]> {
  const done = new Map(rows.map((row) => [row.id, row]));
  const results: ItemResult[] = [];
  for (const item of items)
    results.push(done.get(item.taskId) ?? (await completeOr(database, { ...item, agent }, now)));
  return results;
}

async function completeOr(database: Database, completion: Completion, now: number): Promise<ItemResult> {
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
  const { agent } = completion;
  return sql`WITH ${completeParts({ given: givenOne(completion), agent, now, ...options })} ${completed}`;
}

const givenOne = ({ taskId, leaseToken, result }: Item): Sql =>
  sql`(SELECT ${taskId}::text AS id, ${leaseToken}::bigint AS token, ${json(result)} AS result)`;

/** In the order of their identifiers, so that two batches cannot wait for one another. */
function givenMany(items: readonly Item[]): Sql {
  const [only] = items;
  if (only !== undefined && items.length === 1) return givenOne(only);
  const rows = items
    .map(({ taskId, leaseToken, result }) => ({ id: taskId, token: leaseToken, result }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  // A bound as text of ours: a plan for a few rows looks each up, one for an unknown number may read the table.
  return sql`(SELECT * FROM jsonb_to_recordset(${json(rows)}) AS rows (id text, token bigint, result jsonb)
    LIMIT 500)`;
}

const completed = sql`SELECT id, run_id AS "runId", status, dependents FROM done`;

/** CTEs, task by task: its row is locked, then that of the run that holds it, if this lease does. */
function completeParts(parts: {
  given: Sql;
  agent: Held['agent'];
  now: number;
  alsoWithDependents: boolean;
  /** Of a CTE; where it has no row, nothing is done. */
  holder?: Sql;
}): Sql {
  const { given, agent, now, holder } = parts;
  const waiting = reviewWait(now, '', attestation);
  return sql`due AS MATERIALIZED (
      SELECT task.id, project.review_required, run.id AS run_id, given.result
      FROM ${holder === undefined ? empty : sql`${holder} CROSS JOIN`} ${given} AS given
      CROSS JOIN LATERAL (SELECT id, project_id FROM tasks WHERE tasks.id = given.id
        ${parts.alsoWithDependents ? empty : sql`AND dependents = 0`} LIMIT 1 FOR UPDATE) AS task
      CROSS JOIN LATERAL (SELECT id FROM runs WHERE runs.task_id = task.id AND ${holdsUnder(sql`given.token`, agent)}
        LIMIT 1 FOR NO KEY UPDATE) AS run
      CROSS JOIN LATERAL (SELECT review_required FROM projects WHERE projects.id = task.project_id LIMIT 1) AS project
    ), ended AS (
      UPDATE runs SET status = 'succeeded', outcome = 'attested by its agent', worker_id = NULL, ended_at = now(),
        version = version + 1
      FROM due WHERE runs.id = due.run_id RETURNING runs.id AS run_id, runs.slot
    ), done AS (
      UPDATE tasks SET status = CASE WHEN due.review_required THEN 'in_review' ELSE 'completed' END,
        waiting = CASE WHEN due.review_required THEN ${json(waiting)} || jsonb_build_object('ref', due.run_id) END,
        result = due.result, attested = true, lost_leases = 0, updated_at = now(), version = version + 1
      FROM due WHERE tasks.id = due.id
      RETURNING tasks.id, tasks.project_id, tasks.status, tasks.waiting, tasks.dependents, due.run_id
    ), reminded AS (
      INSERT INTO timers (id, due_at, kind, ref)
      SELECT 'tmr_' || run_id, ${waiting.deadline}::timestamptz, 'task.reminder', id FROM done WHERE status = 'in_review'
      ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at
    ), told AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
      SELECT 'evt_' || run_id || '_done', CASE status WHEN 'completed' THEN 'task.completed' ELSE 'task.updated' END,
        'task', id, id, run_id, ${agent.name}::text,
        jsonb_build_object('status', status, 'attested', true, 'waiting', waiting,
          'reason', 'attested by its agent'), project_id FROM done
    )`;
}
