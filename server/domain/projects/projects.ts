import type { CreateProjectBody, ProjectView, UpdateProjectBody } from '../../../contract/projects.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { isUniqueViolation } from '../../database/database-errors.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, requirePermission, visibleTo } from '../actor.ts';
import { requireVersion } from '../idempotency/versions.ts';

const columns = sql`projects.id, projects.name, projects.description, projects.location AS repository, projects.checks,
  projects.setup, projects.review_required AS "reviewRequired", projects.metadata, projects.version,
  (SELECT count(*) FROM (SELECT FROM tasks WHERE tasks.project_id = projects.id
    AND tasks.status NOT IN ('completed', 'failed', 'cancelled') LIMIT 1000) AS open)::integer AS "openTasks",
  projects.created_at AS "createdAt", projects.updated_at AS "updatedAt"`;

/** @throws AppError forbidden, conflict where the repository has a project */
export async function createProject(
  database: Database,
  actor: Actor,
  body: CreateProjectBody,
): Promise<ProjectView> {
  requirePermission(actor, 'projects:manage');
  if (actor.projects !== null) {
    throw new AppError('forbidden', 'Who sees only some projects makes none: ask an admin who sees all.');
  }
  const id = newId('prj');
  try {
    return await database.transaction('projects.create', async (transaction) => {
      await transaction.many(
        sql`INSERT INTO projects (id, name, description, location, checks, setup, review_required, metadata)
            VALUES (${id}, ${body.name}, ${body.description ?? ''}, ${body.repository ?? null}, ${json(body.checks)},
              ${json(body.setup)}, ${body.reviewRequired ?? true}, ${json(body.metadata ?? {})})`,
      );
      await tell(transaction, 'project.created', id, actor.name, {
        name: body.name,
        location: body.repository ?? null,
      });
      return getProject(transaction, id);
    });
  } catch (error) {
    if (!isUniqueViolation(error, 'projects_location')) throw error;
    throw new AppError('conflict', `${body.repository} has a project already; list them with GET /projects`, {
      cause: error,
    });
  }
}

/** @throws AppError not_found */
export async function getProject(database: Queryable, id: string): Promise<ProjectView> {
  const project = await database.maybe<ProjectView>(
    sql`SELECT ${columns} FROM projects WHERE id = ${id} AND archived_at IS NULL`,
  );
  if (project === undefined) throw unknownProject(id);
  return project;
}

export async function listProjects(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  page: { before?: string | undefined; limit: number },
): Promise<ProjectView[]> {
  return database.many<ProjectView>(
    sql`SELECT ${columns} FROM projects WHERE archived_at IS NULL AND ${visibleTo(actor, sql`projects.id`)}
        ${page.before === undefined ? empty : sql`AND id < ${page.before}`}
        ORDER BY id DESC LIMIT ${page.limit}`,
  );
}

/** @throws AppError not_found, forbidden, precondition_failed */
export async function updateProject(
  database: Database,
  actor: Actor,
  id: string,
  body: UpdateProjectBody,
  expected?: number,
): Promise<ProjectView> {
  requirePermission(actor, 'projects:manage');
  return database.transaction('projects.update', async (transaction) => {
    await lockProject(transaction, id, expected);
    const changed = Object.keys(body);
    if (changed.length === 0) return getProject(transaction, id);
    await transaction.many(
      sql`UPDATE projects SET version = version + 1, updated_at = now()
            ${set(body.name, (value) => sql`, name = ${value}`)}
            ${set(body.description, (value) => sql`, description = ${value}`)}
            ${set(body.checks, (value) => sql`, checks = ${json(value)}`)}
            ${set(body.setup, (value) => sql`, setup = ${json(value)}`)}
            ${set(body.reviewRequired, (value) => sql`, review_required = ${value}`)}
            ${set(body.metadata, (value) => sql`, metadata = ${json(value)}`)}
          WHERE id = ${id}`,
    );
    await tell(transaction, 'project.updated', id, actor.name, { changed });
    return getProject(transaction, id);
  });
}

/**
 * Archives a project: nothing of it is shown any more, and the log goes on to refer to it.
 * @throws AppError not_found, forbidden, precondition_failed, wrong_state while it has tasks that have not ended
 */
export async function deleteProject(
  database: Database,
  actor: Actor,
  id: string,
  expected?: number,
): Promise<void> {
  requirePermission(actor, 'projects:manage');
  await database.transaction('projects.delete', async (transaction) => {
    await lockProject(transaction, id, expected);
    const { openTasks } = await getProject(transaction, id);
    if (openTasks > 0) {
      throw new AppError(
        'wrong_state',
        `The project has ${openTasks} ${openTasks === 1 ? 'task' : 'tasks'} that have not ended; cancel or complete them first.`,
      );
    }
    await transaction.many(
      sql`UPDATE projects SET archived_at = now(), updated_at = now(), version = version + 1 WHERE id = ${id}`,
    );
    await tell(transaction, 'project.deleted', id, actor.name, {});
  });
}

export interface ProjectOfTask {
  id: string;
  location: string | null;
  checks: string[] | null;
  setup: string[] | null;
}

const forTask = sql`id, location, checks, setup`;

/**
 * The project of a new task, by its repository, which makes it where there is none, or by its identifier or name.
 * It is locked so that it is not deleted meanwhile.
 * @throws AppError not_found, unprocessable
 */
export async function projectOfTask(
  transaction: Transaction,
  actor: Actor,
  named: { repository?: string | undefined; project?: string | undefined },
): Promise<ProjectOfTask> {
  const { repository, project } = named;
  if (project !== undefined && repository !== undefined) {
    throw new AppError(
      'unprocessable',
      'Give either `repository` or `project`: a project has one repository.',
    );
  }
  if (repository !== undefined) return ensureProject(transaction, repository, actor);
  if (project === undefined) {
    throw new AppError(
      'unprocessable',
      'Name the `repository` that the task is about, or a `project` (POST /projects makes one).',
    );
  }
  return findProject(transaction, actor, project);
}

/** @throws AppError not_found, unprocessable where several have the name */
export async function findProject(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  nameOrId: string,
): Promise<ProjectOfTask> {
  const found = await database.many<ProjectOfTask>(
    sql`SELECT ${forTask} FROM projects WHERE (id = ${nameOrId} OR name = ${nameOrId}) AND archived_at IS NULL
          AND ${visibleTo(actor, sql`id`)} ORDER BY (id = ${nameOrId}) DESC LIMIT 2 FOR KEY SHARE`,
  );
  const [first, second] = found;
  if (first === undefined) throw unknownProject(nameOrId);
  if (second !== undefined && first.id !== nameOrId) {
    throw new AppError('unprocessable', `Several projects are named ${nameOrId}; name it by its identifier.`);
  }
  return first;
}

async function ensureProject(
  transaction: Transaction,
  location: string,
  actor: Actor,
): Promise<ProjectOfTask> {
  const known = await transaction.maybe<ProjectOfTask>(byLocation(location));
  if (known !== undefined) {
    if (actor.projects !== null && !actor.projects.includes(known.id)) throw unseenRepository();
    return known;
  }
  if (actor.projects !== null) throw unseenRepository();
  const id = newId('prj');
  const name =
    location
      .replace(/\/+$/, '')
      .split('/')
      .at(-1)
      ?.replace(/\.git$/, '') || location;
  const made = await transaction.maybe(
    sql`INSERT INTO projects (id, name, location) VALUES (${id}, ${name}, ${location})
        ON CONFLICT (location) WHERE archived_at IS NULL DO NOTHING RETURNING id`,
  );
  if (made !== undefined) await tell(transaction, 'project.created', id, actor.name, { name, location });
  return transaction.one<ProjectOfTask>(byLocation(location));
}

const byLocation = (location: string): Sql =>
  sql`SELECT ${forTask} FROM projects WHERE location = ${location} AND archived_at IS NULL FOR KEY SHARE`;

async function lockProject(transaction: Transaction, id: string, expected?: number): Promise<void> {
  const row = await transaction.maybe(
    sql`SELECT id FROM projects WHERE id = ${id} AND archived_at IS NULL FOR UPDATE`,
  );
  if (row === undefined) throw unknownProject(id);
  if (expected !== undefined) await requireVersion(transaction, { noun: 'project', id, version: expected });
}

function tell(
  transaction: Transaction,
  type: 'project.created' | 'project.updated' | 'project.deleted',
  id: string,
  actor: string,
  data: Record<string, unknown>,
): Promise<void> {
  return appendEvents(transaction, [
    { type, entityType: 'project', entityId: id, projectId: id, actor, data },
  ]);
}

function set<T>(value: T | undefined, make: (value: T) => Sql): Sql {
  return value === undefined ? empty : make(value);
}

const unknownProject = (id: string) =>
  new AppError('not_found', `there is no project ${id}; list them with GET /projects`);
const unseenRepository = () =>
  new AppError('not_found', 'This repository is of no project that you see; ask an admin to let you see it.');
