import type { TaskView } from '../../../contract/tasks.ts';
import type { Database } from '../../database/database.ts';
import { isUniqueViolation } from '../../database/database-errors.ts';
import { empty, join, raw, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { signOfLife } from '../../runs/sign-of-life.ts';
import { traceparentHere } from '../../trace-context.ts';
import { type Actor, visibleTo } from '../actor.ts';
import { taskColumns, taskJoins, unknownTask } from './task-rows.ts';

export interface Claim {
  task: TaskView;
  runId: string;
  leaseToken: number;
  leaseSeconds: number;
}

export interface ClaimRequest {
  agent: { id: string; name: string };
  actor: Pick<Actor, 'projects'>;
  count: number;
  leaseSeconds: number;
  now: number;
  /** This one and no other. */
  taskId?: string | undefined;
  projectId?: string | undefined;
  parent?: string | undefined;
  priority?: string | undefined;
  /** In the place of the agent's own. */
  skills?: readonly string[] | undefined;
}

/** As in the index `tasks_claimable`, letter by letter. */
const urgency = sql`CASE priority WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END`;

/** Claims of one agent at once can want the same place of it: all but one look again. */
const mostTries = 50;

/**
 * Gives an agent the next tasks that fit it, the most urgent first, and a run of each under a lease; none while
 * everything is stopped, and no more than it has places. Empty where nothing fits.
 *
 * One statement, whose commit does not wait for the disk: a claim that a crash of PostgreSQL loses never was, since no
 * later claim has its token. The milliseconds in the token see to that.
 */
export async function claimTasks(database: Database, request: ClaimRequest): Promise<Claim[]> {
  const rows = await trying((sign) =>
    database.write<ClaimedRow>(
      'tasks.claim',
      sql`WITH ${holderPart(request, sign, 'lazily')}, ${claimParts(request, sign)}
        SELECT ${claimedColumns} FROM claimed AS tasks ${taskJoins} ${inOrder(request)}`,
    ),
  );
  return rows.map((row) => presentClaim(row, request));
}

/**
 * Whether a statement writes that the agent is alive. Most claims follow another within a second, and leave it out: it
 * costs as much as a third of the rest. Such a one finds nothing where the last sign is older.
 */
export type SignOfLife = 'written' | 'fresh';

/**
 * Without the sign of life first, and with it where that gave nothing.
 * @param attempt may be made many times: claims of one agent at once can want the same place of it, and all but one
 * look again
 */
export async function trying<Row>(attempt: (sign: SignOfLife) => Promise<Row[]>): Promise<Row[]> {
  for (let tries = 1; ; tries++) {
    try {
      const rows = await attempt('fresh');
      return rows.length > 0 ? rows : await attempt('written');
    } catch (error) {
      if (tries === mostTries || !isUniqueViolation(error, 'runs_slots')) throw error;
    }
  }
}

export type ClaimedRow = TaskView & { runId: string; leaseToken: number };

/** Of the CTE `claimed`, named `tasks`, with `taskJoins`. */
export const claimedColumns = sql`${taskColumns}, tasks.run_id AS "runId", tasks.lease_token AS "leaseToken"`;

export function presentClaim({ runId, leaseToken, ...task }: ClaimedRow, request: ClaimRequest): Claim {
  return { task, runId, leaseToken, leaseSeconds: request.leaseSeconds };
}

/** The agent's row, locked: the rest of a claim hangs on it. `lazily` lets the commit not wait for the disk. */
export function holderPart(
  { agent, now }: Pick<ClaimRequest, 'agent' | 'now'>,
  sign: SignOfLife,
  commit: 'durably' | 'lazily',
): Sql {
  const lazily = sql`, set_config('synchronous_commit', 'off', true) AS lazily`;
  const fresh = sql`AND online AND last_seen_at >= ${new Date(now).toISOString()}::timestamptz - interval '1 second'`;
  return sql`holder AS MATERIALIZED (
      SELECT skills, capacity, online, last_seen_at ${commit === 'lazily' ? lazily : empty} FROM agents
      WHERE id = ${agent.id} AND runtime = 'foreign' AND suspended_at IS NULL ${sign === 'fresh' ? fresh : empty}
      FOR NO KEY UPDATE
    )`;
}

/**
 * The CTEs of a claim; `claimed` has the tasks, each with its `place` in the order, `run_id` and `slot`.
 *
 * What fits stands in a CASE so that the planner takes it for likely, and reads the index in its order: it knows
 * nothing of skills, and would sort all tasks instead.
 * @param places a CTE of that name with the `slots` that are free and their number, `room`
 */
export function claimParts(request: ClaimRequest, sign: SignOfLife, places = freePlaces(request)): Sql {
  const { agent, count, leaseSeconds, now } = request;
  // As text of ours: a plan for a few rows reads the index in its order, one for an unknown number may sort all.
  const most = bound(count);
  const runIds = Array.from({ length: count }, () => newId('run'));
  const skills =
    request.skills === undefined ? sql`(SELECT skills FROM holder)` : sql`${request.skills}::text[]`;
  const next = sql`(SELECT id FROM tasks
        WHERE ready_at IS NOT NULL AND NOT EXISTS (SELECT FROM halt) ${filters(request)}
          AND CASE WHEN (assignee_id IS NULL OR assignee_id = ${agent.id}) AND required_skills <@ ${skills}
            THEN true ELSE false END
        ORDER BY ${urgency}, id LIMIT ${most} FOR UPDATE SKIP LOCKED) AS next`;
  return sql`${places}, fitting AS MATERIALIZED (${count === 1 ? onlyNext(next) : firstOf(next)}
    ), claimed AS (
      UPDATE tasks SET status = 'in_progress', waiting = NULL, ready_at = NULL, updated_at = now(), version = version + 1,
        lease_token = greatest(lease_token + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
      FROM fitting WHERE tasks.id = fitting.id
      RETURNING tasks.*, fitting.place, (${runIds}::text[])[fitting.place] AS run_id,
        (SELECT slots FROM places)[fitting.place] AS slot
    ), held AS (
      INSERT INTO runs (id, kind, task_id, agent_id, model, status, phase, worker_id, lease_token, lease_seconds, started_at, slot,
        trace_parent)
      SELECT run_id, 'external', id, ${agent.id}, 'external', 'running', 'external', ${agent.id}, lease_token,
        ${leaseSeconds}, now(), slot, coalesce(trace_parent, ${traceparentHere()}::text) FROM claimed
    ), told_claims AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
      SELECT 'evt_' || run_id || '_claim', 'task.claimed', 'task', id, id, run_id, ${agent.name}::text,
        jsonb_build_object('status', 'in_progress', 'agent', ${agent.name}::text, 'leaseSeconds', ${leaseSeconds}::integer),
        project_id
      FROM claimed
    )${sign === 'fresh' ? empty : sql`, ${signOfLife(agent.id, now)}`}`;
}

const bound = (count: number): Sql => raw(String(Math.trunc(count)));

/**
 * The agent's places that no live run has.
 * @param ended a CTE with the `run_id` of runs that end in the same statement: their places are free then, and it is
 * done before the first task is taken
 */
export function freePlaces({ agent, count }: ClaimRequest, ended?: Sql): Sql {
  const freed = ended === undefined ? empty : sql`AND runs.id NOT IN (SELECT run_id FROM ${ended})`;
  return sql`places AS MATERIALIZED (
      SELECT array_agg(free.slot) AS slots, count(*) AS room FROM (
        SELECT slot FROM generate_series(1, (SELECT capacity FROM holder)) AS slot
        WHERE slot NOT IN (SELECT runs.slot FROM runs WHERE runs.agent_id = ${agent.id} AND runs.kind = 'external'
          AND runs.ended_at IS NULL ${freed})
        LIMIT ${bound(count)}) AS free
    )`;
}

/** As many as there are places for, numbered. */
const firstOf = (next: Sql): Sql =>
  sql`SELECT id, row_number() OVER () AS place FROM ${next} LIMIT (SELECT room FROM places)`;

/** The same for one, which is what most ask for. */
const onlyNext = (next: Sql): Sql =>
  sql`SELECT id, 1::bigint AS place FROM ${next} WHERE (SELECT room FROM places) > 0`;

/** The end of a statement over `claimed`, named `tasks`. */
export const inOrder = ({ count }: ClaimRequest): Sql => (count === 1 ? empty : sql`ORDER BY tasks.place`);

function filters({ taskId, projectId, parent, priority, actor }: ClaimRequest): Sql {
  const conditions = [
    ...(taskId === undefined ? [] : [sql`AND id = ${taskId}`]),
    ...(projectId === undefined ? [] : [sql`AND project_id = ${projectId}`]),
    ...(parent === undefined ? [] : [sql`AND parent_id = ${parent}`]),
    ...(priority === undefined ? [] : [sql`AND priority = ${priority}`]),
    ...(actor.projects === null ? [] : [sql`AND ${visibleTo(actor, sql`project_id`)}`]),
  ];
  return conditions.length === 0 ? empty : join(conditions, ' ');
}

interface Claimable {
  status: TaskView['status'];
  reason: string | null;
  ready: boolean;
  assignee: string | null;
  requiredSkills: string[];
  holder: string | null;
}

/** Why a task that was named could not be claimed. */
export async function refuseClaim(database: Database, request: ClaimRequest): Promise<never> {
  const { agent, taskId = '' } = request;
  await requireClaimer(database, agent);
  const task = await database.maybe<Claimable>(
    sql`SELECT tasks.status, tasks.waiting ->> 'reason' AS reason, tasks.ready_at IS NOT NULL AS ready,
          tasks.assignee_id AS assignee, tasks.required_skills AS "requiredSkills",
          (SELECT name FROM runs JOIN agents ON agents.id = runs.agent_id
            WHERE runs.task_id = tasks.id AND runs.ended_at IS NULL LIMIT 1) AS holder
        FROM tasks WHERE tasks.id = ${taskId} AND ${visibleTo(request.actor, sql`tasks.project_id`)}`,
  );
  if (task === undefined) throw unknownTask(taskId);
  if (task.holder !== null)
    throw new AppError('conflict', `${task.holder} holds it. Claim another: POST /tasks/claim`);
  if (!task.ready) {
    const why = task.reason === null ? '' : `: ${task.reason}`;
    throw new AppError('wrong_state', `The task is ${task.status} and cannot be claimed${why}`);
  }
  if (task.assignee !== null && task.assignee !== agent.id)
    throw new AppError('forbidden', 'The task is assigned to another agent. Claim another.');
  throw new AppError(
    'conflict',
    `${agent.name} cannot take it now: it has no free place, lacks a skill (${task.requiredSkills.join(', ') || 'none is needed'}), or everything is stopped.`,
  );
}

/** @throws AppError forbidden where the agent is suspended or no foreign agent */
export async function requireClaimer(database: Database, agent: { id: string; name: string }): Promise<void> {
  const row = await database.maybe<{ runtime: string; suspendedBy: string | null }>(
    sql`SELECT runtime, suspended_by AS "suspendedBy" FROM agents WHERE id = ${agent.id}`,
  );
  if (row === undefined || row.runtime !== 'foreign') {
    throw new AppError(
      'forbidden',
      `${agent.name} is no foreign agent: only those claim tasks. An admin registers one: POST /agents/register`,
    );
  }
  if (row.suspendedBy === null) return;
  throw new AppError('forbidden', `${agent.name} was suspended by ${row.suspendedBy}: it claims nothing.`);
}
