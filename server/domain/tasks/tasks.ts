import type { CreatedTask, CreateTaskBody, TakenTask, TaskView } from '../../../contract/tasks.ts';
import type { Waiting } from '../../../contract/waiting.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { setTimer } from '../../runs/timers.ts';
import { traceparentHere } from '../../trace-context.ts';
import { type Actor, requirePermission, sees } from '../actor.ts';
import { findProject, projectOfTask } from '../projects/projects.ts';
import type { RunPresenter } from '../runs/runs.ts';
import { attachToTask } from './attachments.ts';
import { beginTask } from './begin.ts';
import { insertDependencies, releaseDependents } from './dependencies.ts';
import { findAssignee, type RunPlan } from './plans.ts';
import { getTask, unknownTask } from './task-rows.ts';

export interface TaskDefaults {
  agent: string;
  runLimitMicros: number;
  runLimitTokens: number;
  dayLimitMicros: number;
}

export interface TaskContext {
  database: Database;
  present: RunPresenter;
  defaults: TaskDefaults;
  now: () => number;
}

/**
 * Takes a task of our own loop in, which begins at once.
 * @throws AppError unprocessable where the agent or model does not exist, or where it is not for our own loop now
 */
export async function createTask(
  context: TaskContext,
  actor: Actor,
  body: CreateTaskBody,
): Promise<CreatedTask> {
  const { task, run } = await takeTask(context, actor, body);
  if (run === null) throw new AppError('unprocessable', `${task.id} is not for our own loop now`);
  return { task, run };
}

/**
 * Takes a task in, in one transaction with its events. One of our own loop has its first run queued with it, if it
 * waits for no other task; one of a foreign agent, or of nobody, may then be claimed.
 * @throws AppError unprocessable where the agent or model does not exist
 */
export async function takeTask(context: TaskContext, actor: Actor, body: CreateTaskBody): Promise<TakenTask> {
  const prepared = await prepareTask(context, actor, body);
  return context.database.transaction('tasks.create', (transaction) =>
    insertTask(transaction, context, actor, prepared),
  );
}

export interface PreparedTask {
  body: CreateTaskBody;
  assigneeId: string | null;
  plan: RunPlan | null;
}

/** What has to be known before the transaction: who works on it, and whether its model can be used. */
export async function prepareTask(
  context: TaskContext,
  actor: Actor,
  body: CreateTaskBody,
): Promise<PreparedTask> {
  requirePermission(actor, 'tasks:write');
  const { database, defaults, present } = context;
  const named = body.assignee === undefined ? body.agent : body.assignee;
  const hasRepository =
    body.repository !== undefined ||
    (body.project !== undefined && (await findProject(database, actor, body.project)).location !== null);
  const wanted = named === undefined && hasRepository ? defaults.agent : (named ?? null);
  if (wanted === null) return { body, assigneeId: null, plan: null };
  const agent = await findAssignee(database, wanted);
  if (agent.runtime === 'foreign') return { body, assigneeId: agent.id, plan: null };
  if (!hasRepository && (body.repository ?? body.project) !== undefined) {
    throw new AppError(
      'unprocessable',
      `${agent.name} is one of our own agents, which work on repositories: give the project one, or another assignee.`,
    );
  }
  const model = body.model ?? agent.model;
  await present.describeModel(model);
  const { usd, tokens } = body.budget ?? {};
  const plan: RunPlan = {
    agentId: agent.id,
    model,
    limitMicros: usd === undefined ? defaults.runLimitMicros : Math.round(usd * 1e6),
    limitTokens: tokens ?? defaults.runLimitTokens,
    dayLimitMicros: defaults.dayLimitMicros,
  };
  return { body, assigneeId: agent.id, plan };
}

/** @throws AppError not_found, unprocessable; the transaction must then be rolled back */
export async function insertTask(
  transaction: Transaction,
  context: Pick<TaskContext, 'present' | 'now'>,
  actor: Actor,
  prepared: PreparedTask,
): Promise<TakenTask> {
  const { body, assigneeId, plan } = prepared;
  const project = await projectOfTask(transaction, actor, body);
  if (body.parent !== undefined) await requireParent(transaction, actor, body.parent);
  const taskId = newId('task');
  const title = body.title ?? titleOf(body.instructions);
  await transaction.many(
    sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, branch, folder, checks, setup, services,
          parent_id, assignee_id, plan, deadline, required_skills, metadata, created_by, trace_parent)
        VALUES (${taskId}, ${project.id}, ${title}, ${body.instructions},
          ${body.priority ?? 'medium'}, 'pending', ${body.branch ?? null}, ${body.folder || null},
          ${json(body.checks ?? project.checks)}, ${json(body.setup ?? project.setup)}, ${json(body.services)},
          ${body.parent ?? null}, ${assigneeId}, ${json(plan)}, ${body.deadline ?? null}::timestamptz,
          ${body.requiredSkills ?? []}::text[], ${json(body.metadata ?? {})}, ${actor.name}, ${traceparentHere()})`,
  );
  await writeText(transaction, taskId, title, body.instructions);
  await attachToTask(transaction, taskId, body.attachments ?? []);
  await appendEvents(transaction, [
    {
      type: 'task.created',
      entityType: 'task',
      entityId: taskId,
      taskId,
      projectId: project.id,
      actor: actor.name,
      data: {
        title,
        priority: body.priority ?? 'medium',
        ...(body.parent === undefined ? {} : { parent: body.parent }),
      },
    },
  ]);
  if (body.deadline !== undefined) await setDeadline(transaction, taskId, body.deadline);
  await insertDependencies(transaction, actor, taskId, body.dependsOn ?? []);
  const runId = await beginTask(transaction, { taskId, actor: actor.name, now: context.now() });
  return {
    task: await getTask(transaction, taskId),
    run: runId === null ? null : await context.present.run(transaction, runId),
  };
}

async function requireParent(transaction: Transaction, actor: Actor, id: string): Promise<void> {
  const parent = await transaction.maybe<{ projectId: string; status: TaskView['status'] }>(
    sql`SELECT project_id AS "projectId", status FROM tasks WHERE id = ${id} FOR SHARE`,
  );
  if (parent === undefined || !sees(actor, parent.projectId)) throw unknownTask(id);
  if (!hasEnded(parent.status)) return;
  throw new AppError('unprocessable', `The parent ${id} is ${parent.status}; name one that has not ended.`);
}

export function hasEnded(status: TaskView['status']): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Moves a task on, with its event; `waiting` names what a standing task waits for. */
export async function setTaskStatus(
  transaction: Transaction,
  change: {
    taskId: string;
    status: TaskView['status'];
    waiting: Waiting | null;
    actor: string;
    reason: string;
  },
): Promise<void> {
  const row = await transaction.maybe<{ dependents: number }>(
    sql`UPDATE tasks SET status = ${change.status}, updated_at = now(), version = version + 1, ready_at = NULL,
          waiting = ${json(change.waiting)}
        WHERE id = ${change.taskId} AND status NOT IN ('completed', 'cancelled') RETURNING dependents`,
  );
  if (row === undefined) return;
  const type =
    change.status === 'completed' || change.status === 'failed' || change.status === 'cancelled'
      ? (`task.${change.status}` as const)
      : 'task.updated';
  await appendEvents(transaction, [
    {
      type,
      entityType: 'task',
      entityId: change.taskId,
      taskId: change.taskId,
      actor: change.actor,
      data: { status: change.status, reason: change.reason, waiting: change.waiting },
    },
  ]);
  if (change.status === 'completed' && row.dependents > 0)
    await releaseDependents(transaction, change.taskId, change.actor);
}

/** What `GET /tasks?text=` searches. */
export async function writeText(
  transaction: Transaction,
  taskId: string,
  title: string,
  instructions: string,
): Promise<void> {
  await transaction.many(
    sql`INSERT INTO task_texts (task_id, document)
        VALUES (${taskId}, to_tsvector('english', ${`${title} ${instructions}`}))
        ON CONFLICT (task_id) DO UPDATE SET document = excluded.document`,
  );
}

/** Null takes it away. */
export async function setDeadline(
  transaction: Transaction,
  taskId: string,
  deadline: string | null,
): Promise<void> {
  if (deadline !== null)
    return setTimer(transaction, { kind: 'task.deadline', ref: taskId, dueAt: Date.parse(deadline) });
  await transaction.many(sql`DELETE FROM timers WHERE kind = 'task.deadline' AND ref = ${taskId}`);
}

function titleOf(instructions: string): string {
  const line =
    instructions
      .split('\n')
      .find((text) => text.trim() !== '')
      ?.trim() ?? instructions;
  return line.length <= 100 ? line : `${line.slice(0, 99)}…`;
}
