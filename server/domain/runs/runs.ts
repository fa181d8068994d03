import type { RunView } from '../../../contract/runs.ts';
import type { Waiting } from '../../../contract/waiting.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { pauseForHalt } from '../../runs/halt.ts';
import { wakeRun } from '../../runs/lease.ts';
import { setTimer } from '../../runs/timers.ts';
import { traceparentHere } from '../../trace-context.ts';
import { type Actor, ofVisibleTask } from '../actor.ts';
import { findBudget, readToday } from '../budgets/budgets.ts';
import { ensureBudget } from '../budgets/scopes.ts';

const reminderMs = 600_000;

/** A change that was sent back, and the commits with which the work on it goes on. */
export interface RunOrigin {
  changeId: string;
  /** What the checks are pinned at and the delivery stands on. */
  base: string;
  /** What the workspace holds at first. */
  start: string;
  /** `start` is not a commit to build on: its files lie, not committed, on top of `base`. */
  uncommitted: boolean;
}

export interface NewRun {
  taskId: string;
  agentId: string;
  model: string;
  kind: RunView['kind'];
  changeId: string | null;
  /** Null where the work begins at the branch's tip. */
  origin?: RunOrigin | null;
  actor: string;
  now: number;
  limitMicros: number;
  limitTokens: number;
  dayLimitMicros: number;
}

/** Puts a run into the queue, with its budgets, its reminder and its event. */
export async function queueRun(transaction: Transaction, run: NewRun): Promise<string> {
  const runId = newId('run');
  const waiting: Waiting = {
    on: 'queue',
    ref: null,
    reason: 'waits for a free worker',
    owner: 'workers',
    deadline: new Date(run.now + reminderMs).toISOString(),
    atDeadline: 'remind',
  };
  // What is queued for a suspended agent pauses before it begins.
  const suspended =
    run.kind === 'task'
      ? sql`EXISTS (SELECT FROM agents WHERE id = ${run.agentId} AND suspended_at IS NOT NULL)`
      : sql`false`;
  await transaction.many(
    sql`INSERT INTO runs (id, kind, task_id, agent_id, change_id, origin, model, status, waiting, wake_at, control, suspended, trace_parent)
        VALUES (${runId}, ${run.kind}, ${run.taskId}, ${run.agentId}, ${run.changeId}, ${json(run.origin)}, ${run.model}, 'queued',
          ${json(waiting)}, ${new Date(run.now).toISOString()}::timestamptz,
          CASE WHEN ${suspended} THEN 'pause' ELSE 'go' END, ${suspended},
          ${traceOf(run)})`,
  );
  await ensureBudget(transaction, {
    scope: 'run',
    key: runId,
    limitTokens: run.limitTokens,
    limitMicros: run.limitMicros,
  });
  const today = await readToday(transaction);
  await ensureBudget(transaction, {
    scope: 'day',
    key: today,
    limitTokens: null,
    limitMicros: run.dayLimitMicros,
  });
  await setTimer(transaction, { kind: 'run.reminder', ref: runId, dueAt: run.now + reminderMs });
  await appendEvents(transaction, [
    {
      type: 'run.queued',
      entityType: 'run',
      entityId: runId,
      runId,
      taskId: run.taskId,
      actor: run.actor,
      data: { kind: run.kind },
    },
  ]);
  await pauseForHalt(transaction, run.now);
  return runId;
}

/** A task's work belongs to the trace of who asked for the task, also where others let it begin hours later. */
function traceOf({ kind, taskId }: NewRun): Sql {
  const here = sql`${traceparentHere()}::text`;
  return kind === 'task'
    ? sql`coalesce((SELECT trace_parent FROM tasks WHERE id = ${taskId}), ${here})`
    : here;
}

interface RunRow extends Omit<RunView, 'recording' | 'lease' | 'budget'> {
  workerId: string | null;
  leaseToken: number;
}

const columns = sql`runs.id, runs.kind, runs.task_id AS "taskId", runs.change_id AS "changeId", agents.name AS agent, runs.model,
  runs.status, runs.phase, runs.waiting, runs.outcome, runs.worker_id AS "workerId", runs.lease_token AS "leaseToken",
  runs.sandbox, (SELECT coalesce(max(seq), 0) FROM steps WHERE steps.run_id = runs.id) AS steps,
  runs.version, runs.created_at AS "createdAt", runs.started_at AS "startedAt", runs.ended_at AS "endedAt"`;
const tables = sql`runs JOIN agents ON agents.id = runs.agent_id`;

/** Throws where the model cannot be used. */
export type DescribeModel = (model: string) => { recording: boolean } | Promise<{ recording: boolean }>;

/** Presents runs; told which models are recordings, so that every view can say so. */
export class RunPresenter {
  readonly describeModel: DescribeModel;

  constructor(describeModel: DescribeModel) {
    this.describeModel = describeModel;
  }

  /** @throws AppError not_found */
  async run(database: Queryable, id: string): Promise<RunView> {
    const row = await database.maybe<RunRow>(sql`SELECT ${columns} FROM ${tables} WHERE runs.id = ${id}`);
    if (row === undefined)
      throw new AppError('not_found', `there is no run ${id}; list them with \`mission status\``);
    return this.#present(database, row);
  }

  async list(
    database: Queryable,
    filter: {
      taskId?: string | undefined;
      status?: string | undefined;
      open?: boolean;
      /** Only what this actor sees. */
      actor?: Pick<Actor, 'projects'>;
      before?: string | undefined;
      limit: number;
    },
  ): Promise<RunView[]> {
    const rows = await database.many<RunRow>(
      sql`SELECT ${columns} FROM ${tables} WHERE true
          ${filter.taskId === undefined ? empty : sql`AND runs.task_id = ${filter.taskId}`}
          ${filter.status === undefined ? empty : sql`AND runs.status = ${filter.status}`}
          ${filter.open === true ? sql`AND runs.ended_at IS NULL` : empty}
          ${filter.before === undefined ? empty : sql`AND runs.id < ${filter.before}`}
          ${ofVisibleTask(filter.actor, sql`runs.task_id`)}
          ORDER BY runs.id DESC LIMIT ${filter.limit}`,
    );
    return Promise.all(rows.map((row) => this.#present(database, row)));
  }

  async #present(database: Queryable, row: RunRow): Promise<RunView> {
    const { workerId, leaseToken, ...view } = row;
    const budget = await findBudget(database, 'run', row.id);
    return {
      ...view,
      recording: row.model.startsWith('recorded/'),
      lease: workerId === null ? null : { worker: workerId, token: leaseToken },
      budget: budget === undefined ? null : withoutId(budget),
    };
  }
}

export type Control = 'go' | 'pause' | 'stop';

/**
 * Asks a run to pause, to go on, or to stop at once; the run's holder hears it within the log's delay, or a
 * worker takes the run to do it.
 * @throws AppError not_found, forbidden, wrong_state
 */
export async function requestControl(
  context: { database: Database; now: () => number },
  actor: Actor,
  runId: string,
  control: Control,
): Promise<void> {
  requireOperator(actor);
  await context.database.transaction('runs.control', async (transaction) => {
    const run = await lockRun(transaction, runId);
    if (run.status === 'succeeded' || run.status === 'failed' || run.status === 'stopped') {
      throw new AppError(
        'wrong_state',
        `${runId} has ended (${run.status}); nothing is left to ${control === 'go' ? 'resume' : control}`,
      );
    }
    if (run.kind === 'external' && control === 'stop') {
      throw new AppError(
        'wrong_state',
        `A foreign agent works on it elsewhere; take it from it with POST /tasks/${run.taskId}/cancel, or suspend the agent.`,
      );
    }
    if (run.control === control) return;
    if (run.control === 'stop') throw new AppError('wrong_state', `${runId} is being stopped`);
    await transaction.many(sql`UPDATE runs SET control = ${control} WHERE id = ${runId}`);
    await appendEvents(transaction, [
      {
        type: 'run.control_requested',
        entityType: 'run',
        entityId: runId,
        runId,
        taskId: run.taskId,
        actor: actor.name,
        data: { control },
      },
    ]);
    await wakeRun(transaction, {
      runId,
      actor: actor.name,
      now: context.now(),
      reason: `${control} was asked for`,
    });
  });
}

/** A sentence to a run, read at its next step. @throws AppError not_found, forbidden, wrong_state */
export async function sayToRun(
  context: { database: Database; now: () => number },
  actor: Actor,
  runId: string,
  text: string,
): Promise<void> {
  requireOperator(actor);
  await context.database.transaction('messages.send', async (transaction) => {
    const run = await lockRun(transaction, runId);
    if (run.ended)
      throw new AppError('wrong_state', `${runId} has ended (${run.status}); it reads nothing more`);
    if (run.kind === 'external')
      throw new AppError('wrong_state', 'A foreign agent works on it elsewhere; it reads no messages here.');
    const id = newId('evt');
    await transaction.many(
      sql`INSERT INTO messages (id, run_id, sender, text) VALUES (${id}, ${runId}, ${actor.name}, ${text})`,
    );
    await appendEvents(transaction, [
      {
        type: 'message.sent',
        entityType: 'message',
        entityId: id,
        runId,
        taskId: run.taskId,
        actor: actor.name,
        data: {},
      },
    ]);
    await wakeRun(transaction, {
      runId,
      actor: actor.name,
      now: context.now(),
      reason: 'guidance was given',
    });
  });
}

export interface Message {
  id: string;
  sender: string;
  text: string;
  /** Null where the sender is gone. */
  senderKind: 'human' | 'service' | 'agent' | null;
}

/** Guidance that the run has not read yet, oldest first. */
export async function readUnread(database: Queryable, runId: string): Promise<Message[]> {
  return database.many<Message>(
    sql`SELECT messages.id, messages.sender, messages.text, principals.kind AS "senderKind"
        FROM messages LEFT JOIN principals ON principals.name = messages.sender
        WHERE messages.run_id = ${runId} AND messages.read_at IS NULL ORDER BY messages.id`,
  );
}

export async function markRead(transaction: Transaction, id: string): Promise<void> {
  await transaction.many(sql`UPDATE messages SET read_at = now() WHERE id = ${id}`);
}

/** A run that still waits at its reminder is told of again; so no wait is forgotten. */
export async function remindOfRun(transaction: Transaction, runId: string, now: number): Promise<void> {
  const run = await transaction.maybe<{ status: string; taskId: string; waiting: Waiting | null }>(
    sql`SELECT status, task_id AS "taskId", waiting FROM runs WHERE id = ${runId} AND ended_at IS NULL FOR UPDATE`,
  );
  if (run === undefined) return;
  await setTimer(transaction, { kind: 'run.reminder', ref: runId, dueAt: now + reminderMs });
  if (run.waiting === null || Date.parse(run.waiting.deadline) > now || run.waiting.atDeadline !== 'remind')
    return;
  const waiting = { ...run.waiting, deadline: new Date(now + reminderMs).toISOString() };
  await transaction.many(sql`UPDATE runs SET waiting = ${json(waiting)} WHERE id = ${runId}`);
  await appendEvents(transaction, [
    {
      type: 'run.overdue',
      entityType: 'run',
      entityId: runId,
      runId,
      taskId: run.taskId,
      actor: 'control-plane',
      data: { waiting },
    },
  ]);
}

interface LockedRun {
  kind: RunView['kind'];
  status: RunView['status'];
  control: Control;
  taskId: string;
  ended: boolean;
}

async function lockRun(transaction: Transaction, runId: string): Promise<LockedRun> {
  const run = await transaction.maybe<LockedRun>(
    sql`SELECT kind, status, control, task_id AS "taskId", ended_at IS NOT NULL AS ended FROM runs WHERE id = ${runId} FOR UPDATE`,
  );
  if (run === undefined)
    throw new AppError('not_found', `there is no run ${runId}; list them with \`mission status\``);
  return run;
}

function requireOperator(actor: Actor): void {
  if (actor.role !== 'admin' && actor.role !== 'operator') {
    throw new AppError('forbidden', 'only operators and admins steer runs');
  }
}

function withoutId<T extends { id: string }>(row: T): Omit<T, 'id'> {
  const { id: _, ...rest } = row;
  return rest;
}
