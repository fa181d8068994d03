import type { TaskView, UpdateTaskBody } from '../../../contract/tasks.ts';
import type { Transaction } from '../../database/database.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { type Actor, requirePermission, sees } from '../actor.ts';
import { requireVersion } from '../idempotency/versions.ts';
import { beginTask, holdBack } from './begin.ts';
import { replaceDependencies } from './dependencies.ts';
import { type Assignee, findAssignee } from './plans.ts';
import { getTask, unknownTask } from './task-rows.ts';
import { hasEnded, setDeadline, type TaskContext, writeText } from './tasks.ts';

/** @throws AppError not_found, forbidden, precondition_failed, wrong_state, unprocessable */
export async function updateTask(
  context: TaskContext,
  actor: Actor,
  id: string,
  body: UpdateTaskBody,
  expected?: number,
): Promise<TaskView> {
  const assignee = await prepareUpdate(context, actor, body);
  return context.database.transaction('tasks.update', (transaction) =>
    applyUpdate(transaction, context, actor, { id, body, assignee, expected }),
  );
}

/** What has to be known before the transaction: who is to work on it. */
export async function prepareUpdate(
  context: TaskContext,
  actor: Actor,
  body: UpdateTaskBody,
): Promise<Assignee | null> {
  requirePermission(actor, 'tasks:write');
  if (body.assignee === undefined || body.assignee === null) return null;
  const assignee = await findAssignee(context.database, body.assignee);
  if (assignee.runtime === 'builtin') await context.present.describeModel(assignee.model);
  return assignee;
}

interface LockedTask {
  projectId: string;
  location: string | null;
  status: TaskView['status'];
  title: string;
  instructions: string;
}

export async function lockTask(transaction: Transaction, actor: Actor, id: string): Promise<LockedTask> {
  const task = await transaction.maybe<LockedTask>(
    sql`SELECT project_id AS "projectId", projects.location, tasks.status, title, instructions FROM tasks
        JOIN projects ON projects.id = tasks.project_id WHERE tasks.id = ${id} FOR UPDATE OF tasks`,
  );
  if (task === undefined || !sees(actor, task.projectId)) throw unknownTask(id);
  return task;
}

export async function applyUpdate(
  transaction: Transaction,
  context: TaskContext,
  actor: Actor,
  update: { id: string; body: UpdateTaskBody; assignee: Assignee | null; expected?: number | undefined },
): Promise<TaskView> {
  const { id, body, assignee, expected } = update;
  const task = await lockTask(transaction, actor, id);
  if (expected !== undefined) await requireVersion(transaction, { noun: 'task', id, version: expected });
  const changed = Object.keys(body);
  if (changed.length === 0) return getTask(transaction, id);
  requireChangeable(task.status, body);
  // What decides how it begins is changed only while nobody has begun, and it begins anew with that.
  const again =
    task.status === 'pending' &&
    (body.assignee !== undefined || body.dependsOn !== undefined || body.instructions !== undefined);
  if (again) await holdBack(transaction, id, actor.name);
  await transaction.many(
    sql`UPDATE tasks SET version = version + 1, updated_at = now()
          ${set(body.title, (value) => sql`, title = ${value}`)}
          ${set(body.instructions, (value) => sql`, instructions = ${value}`)}
          ${set(body.priority, (value) => sql`, priority = ${value}`)}
          ${set(body.deadline, (value) => sql`, deadline = ${value}::timestamptz`)}
          ${set(body.requiredSkills, (value) => sql`, required_skills = ${value}::text[]`)}
          ${set(body.metadata, (value) => sql`, metadata = ${json(value)}`)}
        WHERE id = ${id}`,
  );
  if (body.title !== undefined || body.instructions !== undefined)
    await writeText(transaction, id, body.title ?? task.title, body.instructions ?? task.instructions);
  if (body.deadline !== undefined) await setDeadline(transaction, id, body.deadline);
  if (body.assignee !== undefined) await assign(transaction, context, task, id, assignee);
  if (body.dependsOn !== undefined) await replaceDependencies(transaction, actor, id, body.dependsOn);
  await appendEvents(transaction, [
    {
      type: 'task.updated',
      entityType: 'task',
      entityId: id,
      taskId: id,
      actor: actor.name,
      data: {
        status: task.status,
        changed,
        ...(body.assignee === undefined ? {} : { assignee: assignee?.name ?? null }),
      },
    },
  ]);
  if (again) await beginTask(transaction, { taskId: id, actor: actor.name, now: context.now() });
  return getTask(transaction, id);
}

function requireChangeable(status: TaskView['status'], body: UpdateTaskBody): void {
  const { title: _, metadata: __, ...rest } = body;
  const [first] = Object.keys(rest);
  if (first === undefined) return;
  if (hasEnded(status)) {
    throw new AppError('wrong_state', `The task is ${status}; only its title and metadata can change now.`);
  }
  const begun = (['instructions', 'assignee', 'dependsOn'] as const).find((name) => body[name] !== undefined);
  if (begun === undefined || status === 'pending') return;
  throw new AppError(
    'wrong_state',
    `The task is ${status}; its ${begun} can change only while it is pending.`,
  );
}

async function assign(
  transaction: Transaction,
  { defaults }: TaskContext,
  task: LockedTask,
  id: string,
  assignee: Assignee | null,
): Promise<void> {
  if (assignee?.runtime === 'builtin' && task.location === null) {
    throw new AppError(
      'unprocessable',
      `${assignee.name} is one of our own agents, which work on repositories; this project has none.`,
    );
  }
  const plan =
    assignee?.runtime === 'builtin'
      ? {
          limitMicros: defaults.runLimitMicros,
          limitTokens: defaults.runLimitTokens,
          dayLimitMicros: defaults.dayLimitMicros,
          agentId: assignee.id,
          model: assignee.model,
        }
      : null;
  // The limits that it was given hold for whoever does it.
  await transaction.many(
    sql`UPDATE tasks SET assignee_id = ${assignee?.id ?? null},
          plan = ${json(plan)} || coalesce(plan - 'agentId' - 'model', '{}'::jsonb) WHERE id = ${id}`,
  );
}

function set<T>(value: T | undefined, make: (value: T) => Sql): Sql {
  return value === undefined ? empty : make(value);
}
