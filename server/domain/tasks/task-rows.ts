import { formatId } from '../../../contract/ids.ts';
import { type TaskView, taskStatuses, taskView } from '../../../contract/tasks.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { plannedLimit } from '../../database/planned-limit.ts';
import { empty, raw, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { type Actor, visibleTo } from '../actor.ts';
import { searchTasks } from './search-tasks.ts';

/** Of `tasks`, `projects` and `assignees`; a statement that gives tasks back may name its own rows `tasks`. */
export const taskColumns = sql`tasks.id, tasks.project_id AS "projectId", projects.name AS project,
  projects.location AS repository, tasks.branch, tasks.folder, tasks.title, tasks.instructions, tasks.priority,
  tasks.status, tasks.waiting, tasks.checks, tasks.setup, tasks.services, tasks.parent_id AS "parentId",
  CASE WHEN assignees.id IS NULL THEN NULL ELSE json_build_object('id', assignees.id, 'name', assignees.name) END
    AS assignee,
  ARRAY(SELECT depends_on FROM task_dependencies WHERE task_id = tasks.id ORDER BY depends_on) AS "dependsOn",
  tasks.deadline, tasks.required_skills AS "requiredSkills", tasks.metadata, tasks.result, tasks.attested,
  tasks.version, tasks.created_by AS "createdBy", tasks.created_at AS "createdAt", tasks.updated_at AS "updatedAt"`;

export const taskJoins = sql`JOIN projects ON projects.id = tasks.project_id
  LEFT JOIN agents AS assignees ON assignees.id = tasks.assignee_id`;

/** @throws AppError not_found */
export async function getTask(database: Queryable, id: string): Promise<TaskView> {
  const task = await database.maybe<TaskView>(
    sql`SELECT ${taskColumns} FROM tasks ${taskJoins} WHERE tasks.id = ${id}`,
  );
  if (task === undefined) throw unknownTask(id);
  return task;
}

export interface TaskFilter {
  status?: string | undefined;
  /** Only what has not ended. */
  open?: boolean;
  priority?: string | undefined;
  /** By identifier or name; `none` for tasks of whoever claims them. */
  assignee?: string | undefined;
  project?: string | undefined;
  parent?: string | undefined;
  /** Words of its title and instructions, as one types them into a search. */
  text?: string | undefined;
  createdAfter?: string | undefined;
  createdBefore?: string | undefined;
  updatedAfter?: string | undefined;
  /** Only what this actor sees. */
  actor?: Pick<Actor, 'projects'>;
  before?: string | undefined;
  limit: number;
}

/** The newest first. */
export async function listTasks(database: Database, filter: TaskFilter): Promise<TaskView[]> {
  const { text } = filter;
  if (text === undefined) return database.many<TaskView>(pageOf(filter, sql`tasks`, sql`tasks.id`));
  // Each by itself, from the newest on, as far as the page needs: the planner does not know how few fit.
  const each = sql`(SELECT task_id FROM matching ORDER BY task_id DESC) AS found CROSS JOIN LATERAL
    (SELECT * FROM tasks WHERE tasks.id = found.task_id OFFSET 0) AS tasks`;
  return searchTasks({ ...filter, text }, (matching) =>
    database.many<TaskView>(
      sql`WITH matching AS MATERIALIZED (${matching}) ${pageOf(filter, each, sql`found.task_id`)}`,
    ),
  );
}

/** Its rows first, so that what belongs to them is looked up for one page and not for all that fit. */
function pageOf(filter: TaskFilter, from: Sql, order: Sql): Sql {
  const { limit, updatedAfter, actor } = filter;
  // How many were updated since, or are of somebody's projects, tells only the value: there each execution is planned.
  const isEven = updatedAfter === undefined && (actor?.projects ?? null) === null;
  return sql`SELECT ${taskColumns} FROM (
      SELECT tasks.* FROM ${from} WHERE true ${conditionsOf(filter)}
      ORDER BY ${order} DESC LIMIT ${isEven ? plannedLimit(limit) : sql`${limit}`}
    ) AS tasks ${taskJoins} ORDER BY tasks.id DESC ${isEven ? sql`LIMIT ${limit}` : empty}`;
}

function conditionsOf(filter: TaskFilter): Sql {
  const { parent, createdAfter, createdBefore, updatedAfter, before } = filter;
  return sql`${where(filter.status, (value) => sql`tasks.status = ${word(taskStatuses, value)}`)}
    ${filter.open === true ? sql`AND tasks.status NOT IN ('completed', 'failed', 'cancelled')` : empty}
    ${where(filter.priority, (value) => sql`tasks.priority = ${word(priorities, value)}`)}
    ${where(filter.assignee, ofAssignee)}
    ${where(filter.project, ofProject)}
    ${where(parent, (value) => sql`tasks.parent_id = ${value}`)}
    ${where(createdAfter, (value) => sql`tasks.created_at > ${value}::timestamptz AND tasks.id > ${idAt(value, -slackMs)}`)}
    ${where(createdBefore, (value) => sql`tasks.created_at < ${value}::timestamptz AND tasks.id < ${idAt(value, slackMs)}`)}
    ${where(updatedAfter, (value) => sql`tasks.updated_at > ${value}::timestamptz`)}
    ${where(filter.actor, (actor) => visibleTo(actor, sql`tasks.project_id`))}
    ${where(before, (value) => sql`tasks.id < ${value}`)}`;
}

const priorities = taskView.shape.priority.options;

/** One of our own words, in the statement's text: so a plan that is made once can use the index of just these rows. */
const word = (known: readonly string[], value: string): Sql =>
  known.includes(value) ? raw(`'${value}'`) : sql`${value}`;

/** By how much the clock of a server that made an identifier may differ from the database's. */
const slackMs = 15 * 60_000;

/** Identifiers begin with their time: with it the list begins where the time is, and not at its end. */
const idAt = (time: string, shiftMs: number): string =>
  formatId('task', Math.max(0, Date.parse(time) + shiftMs), new Uint8Array(8));

const ofAssignee = (value: string): Sql =>
  value === 'none'
    ? sql`tasks.assignee_id IS NULL`
    : sql`tasks.assignee_id = (SELECT id FROM agents WHERE id = ${value} OR name = ${value} LIMIT 1)`;

const ofProject = (value: string): Sql =>
  value.startsWith('prj_')
    ? sql`tasks.project_id = ${value}`
    : sql`tasks.project_id IN (SELECT id FROM projects WHERE name = ${value})`;

function where<T>(value: T | undefined, make: (value: T) => Sql): Sql {
  return value === undefined ? empty : sql`AND ${make(value)}`;
}

export const unknownTask = (id: string) =>
  new AppError('not_found', `there is no task ${id}; list them with GET /tasks`);
