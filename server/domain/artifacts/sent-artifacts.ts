import type { Readable } from 'node:stream';
import type { ArtifactView } from '../../../contract/artifacts.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { type Actor, sees } from '../actor.ts';
import type { Artifacts } from './artifacts.ts';

const columns = sql`artifacts.id, artifacts.name, artifacts.media_type AS "mediaType", artifacts.size, artifacts.hash,
  artifacts.run_id AS "runId", coalesce(artifacts.task_id, runs.task_id) AS "taskId",
  artifacts.created_by AS "createdBy", artifacts.created_at AS "createdAt"`;
const tables = sql`artifacts LEFT JOIN runs ON runs.id = artifacts.run_id
  LEFT JOIN tasks ON tasks.id = coalesce(artifacts.task_id, runs.task_id)`;

/**
 * Keeps what somebody sends, for a run or a task of theirs or for neither.
 * @throws AppError too_large, unprocessable (no such run or task)
 */
export async function receiveArtifact(
  context: { database: Database; artifacts: Artifacts; mostBytes: number },
  actor: Actor,
  file: {
    content: Readable;
    name: string;
    mediaType: string;
    run?: string | undefined;
    task?: string | undefined;
  },
): Promise<ArtifactView> {
  const { database, artifacts, mostBytes } = context;
  const { content, name, mediaType } = file;
  // Before anything is written down, and again in the transaction.
  await findOwner(database, actor, file);
  const id = await artifacts.receive(content, {
    name,
    mediaType,
    mostBytes,
    actor: actor.name,
    belongsTo: (transaction: Transaction) => findOwner(transaction, actor, file),
  });
  return getArtifact(database, id);
}

/** @throws AppError not_found */
export async function getArtifact(database: Queryable, id: string): Promise<ArtifactView> {
  const row = await database.maybe<ArtifactView>(
    sql`SELECT ${columns} FROM ${tables} WHERE artifacts.id = ${id}`,
  );
  if (row === undefined) throw new AppError('not_found', `there is no artifact ${id}`);
  return row;
}

/** The highest identifiers first; what belongs to no project is seen by those who see all. */
export async function listArtifacts(
  database: Queryable,
  filter: {
    actor: Pick<Actor, 'projects'>;
    run?: string | undefined;
    task?: string | undefined;
    before?: string | undefined;
    limit: number;
  },
): Promise<ArtifactView[]> {
  const { actor, run, task, before, limit } = filter;
  return database.many<ArtifactView>(
    sql`SELECT ${columns} FROM ${tables} WHERE true
        ${run === undefined ? empty : sql`AND artifacts.run_id = ${run}`}
        ${task === undefined ? empty : sql`AND (artifacts.task_id = ${task} OR artifacts.run_id IN (SELECT id FROM runs WHERE task_id = ${task}))`}
        ${before === undefined ? empty : sql`AND artifacts.id < ${before}`}
        ${actor.projects === null ? empty : sql`AND tasks.project_id = ANY(${actor.projects}::text[])`}
        ORDER BY artifacts.id DESC LIMIT ${limit}`,
  );
}

/** An agent adds to its own runs alone; for a task of which it holds a run, the artifact belongs to that run. */
async function findOwner(
  queryable: Queryable,
  actor: Actor,
  { run, task }: { run?: string | undefined; task?: string | undefined },
): Promise<{ runId: string | null; taskId: string | null }> {
  if (run === undefined && task === undefined) return { runId: null, taskId: null };
  const isAgent = actor.role === 'agent';
  const found =
    run === undefined
      ? await queryable.maybe<Owner>(
          sql`SELECT tasks.project_id AS "projectId", tasks.id AS "taskId",
                (SELECT id FROM runs WHERE task_id = tasks.id AND agent_id = ${actor.id} AND ended_at IS NULL
                 ORDER BY id DESC LIMIT 1) AS "runId"
              FROM tasks WHERE tasks.id = ${task}`,
        )
      : await queryable.maybe<Owner>(
          sql`SELECT tasks.project_id AS "projectId", tasks.id AS "taskId",
                CASE WHEN ${!isAgent} OR (agent_id = ${actor.id} AND ended_at IS NULL) THEN runs.id END AS "runId"
              FROM runs JOIN tasks ON tasks.id = runs.task_id WHERE runs.id = ${run}`,
        );
  if (found === undefined || !sees(actor, found.projectId))
    throw new AppError('unprocessable', `there is no ${run === undefined ? `task ${task}` : `run ${run}`}`);
  if (isAgent && found.runId === null)
    throw new AppError('forbidden', 'an agent sends artifacts for what it holds: claim the task first');
  return { runId: run === undefined && !isAgent ? null : found.runId, taskId: found.taskId };
}

interface Owner {
  projectId: string;
  taskId: string;
  runId: string | null;
}
