import type { CreatedTask, CreateTaskBody, TaskView } from '../../../contract/tasks.ts';
import type { Waiting } from '../../../contract/waiting.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import { findAgent, listAgentNames } from '../principals/principals.ts';
import { queueRun, type RunPresenter } from '../runs/runs.ts';
import { attachToTask } from './attachments.ts';

export interface TaskRow extends TaskView {
  repository: string;
}

const columns = sql`tasks.id, tasks.project_id AS "projectId", projects.location AS repository, tasks.branch, tasks.folder, tasks.title,
  tasks.instructions, tasks.priority, tasks.status, tasks.waiting, tasks.checks, tasks.setup, tasks.services,
  tasks.created_by AS "createdBy", tasks.created_at AS "createdAt", tasks.updated_at AS "updatedAt"`;

export interface TaskDefaults {
  agent: string;
  runLimitMicros: number;
  runLimitTokens: number;
  dayLimitMicros: number;
}

/**
 * Takes a task in and queues its first run, in one transaction with their events.
 * @throws AppError unprocessable where the agent or model does not exist
 */
export async function createTask(
  context: { database: Database; present: RunPresenter; defaults: TaskDefaults; now: () => number },
  actor: Actor,
  body: CreateTaskBody,
): Promise<CreatedTask> {
  if (actor.role !== 'admin' && actor.role !== 'operator') {
    throw new AppError('forbidden', 'only operators and admins create tasks');
  }
  const agentName = body.agent ?? context.defaults.agent;
  const agent = await findAgent(context.database, agentName);
  if (agent === undefined) {
    const names = await listAgentNames(context.database);
    throw new AppError('unprocessable', `there is no agent ${agentName}; there are: ${names.join(', ')}`);
  }
  const model = body.model ?? agent.model;
  await context.present.describeModel(model);
  return context.database.transaction('tasks.create', async (transaction) => {
    const projectId = await ensureProject(transaction, body.repository, actor);
    const taskId = newId('task');
    await transaction.many(
      sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, branch, folder, checks, setup, services, created_by)
          VALUES (${taskId}, ${projectId}, ${body.title ?? titleOf(body.instructions)}, ${body.instructions},
            ${body.priority ?? 'medium'}, 'pending', ${body.branch ?? null}, ${body.folder || null},
            ${json(body.checks)},
            ${json(body.setup)}, ${json(body.services)}, ${actor.name})`,
    );
    await attachToTask(transaction, taskId, body.attachments ?? []);
    await appendEvents(transaction, [
      {
        type: 'task.created',
        entityType: 'task',
        entityId: taskId,
        taskId,
        actor: actor.name,
        data: { title: body.title ?? titleOf(body.instructions) },
      },
    ]);
    const runId = await queueRun(transaction, {
      taskId,
      agentId: agent.id,
      model,
      kind: 'task',
      changeId: null,
      actor: actor.name,
      now: context.now(),
      limitMicros:
        body.budget?.usd === undefined ? context.defaults.runLimitMicros : Math.round(body.budget.usd * 1e6),
      limitTokens: body.budget?.tokens ?? context.defaults.runLimitTokens,
      dayLimitMicros: context.defaults.dayLimitMicros,
    });
    return { task: await getTask(transaction, taskId), run: await context.present.run(transaction, runId) };
  });
}

/** @throws AppError not_found */
export async function getTask(database: Queryable, id: string): Promise<TaskView> {
  const task = await database.maybe<TaskView>(
    sql`SELECT ${columns} FROM tasks JOIN projects ON projects.id = tasks.project_id WHERE tasks.id = ${id}`,
  );
  if (task === undefined) throw new AppError('not_found', `there is no task ${id}`);
  return task;
}

export async function listTasks(
  database: Queryable,
  filter: { status?: string | undefined; open?: boolean; limit: number },
): Promise<TaskView[]> {
  const conditions = [
    ...(filter.status === undefined ? [] : [sql`AND tasks.status = ${filter.status}`]),
    ...(filter.open === true ? [sql`AND tasks.status NOT IN ('completed', 'failed', 'cancelled')`] : []),
  ];
  const [first = empty, second = empty] = conditions;
  return database.many<TaskView>(
    sql`SELECT ${columns} FROM tasks JOIN projects ON projects.id = tasks.project_id
        WHERE true ${first} ${second} ORDER BY tasks.id DESC LIMIT ${filter.limit}`,
  );
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
  const row = await transaction.maybe(
    sql`UPDATE tasks SET status = ${change.status}, updated_at = now(),
          waiting = ${json(change.waiting)}
        WHERE id = ${change.taskId} AND status NOT IN ('completed', 'cancelled') RETURNING id`,
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
}

async function ensureProject(transaction: Transaction, location: string, actor: Actor): Promise<string> {
  const id = newId('prj');
  const name =
    location
      .replace(/\/+$/, '')
      .split('/')
      .at(-1)
      ?.replace(/\.git$/, '') || location;
  const made = await transaction.maybe(
    sql`INSERT INTO projects (id, name, location) VALUES (${id}, ${name}, ${location})
        ON CONFLICT (location) DO NOTHING RETURNING id`,
  );
  if (made !== undefined) {
    await appendEvents(transaction, [
      {
        type: 'project.created',
        entityType: 'project',
        entityId: id,
        actor: actor.name,
        data: { name, location },
      },
    ]);
    return id;
  }
  const row = await transaction.one<{ id: string }>(
    sql`SELECT id FROM projects WHERE location = ${location}`,
  );
  return row.id;
}

function titleOf(instructions: string): string {
  const line =
    instructions
      .split('\n')
      .find((text) => text.trim() !== '')
      ?.trim() ?? instructions;
  return line.length <= 100 ? line : `${line.slice(0, 99)}…`;
}
