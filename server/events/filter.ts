import type { CloudEvent, EventType } from '../../contract/events.ts';
import { type Sql, sql } from '../database/sql.ts';

/** Which events somebody follows; what is not given restricts nothing. */
export interface EventFilter {
  types?: readonly EventType[] | undefined;
  /** `task/task_…`: what it happened to. */
  subject?: string | undefined;
  projectId?: string | undefined;
  runId?: string | undefined;
  taskId?: string | undefined;
  /** The projects that the reader sees, and nothing of what belongs to none; null: everything. */
  projects?: readonly string[] | null | undefined;
}

/** The same as `filterConditions`, for events at hand; undefined where every event fits. */
export function compileFilter(filter: EventFilter): ((event: CloudEvent) => boolean) | undefined {
  const { subject, projectId, runId, taskId } = filter;
  const tests: ((event: CloudEvent) => boolean)[] = [];
  if (filter.types !== undefined) {
    const types = setOf(filter.types);
    tests.push((event) => types.has(event.type));
  }
  if (subject !== undefined) tests.push((event) => event.subject === subject);
  if (projectId !== undefined) tests.push((event) => event.projectid === projectId);
  if (runId !== undefined) tests.push((event) => event.runid === runId);
  if (taskId !== undefined) tests.push((event) => event.taskid === taskId);
  if (filter.projects) {
    const projects = new Set(filter.projects);
    tests.push((event) => event.projectid !== undefined && projects.has(event.projectid));
  }
  return tests.length === 0 ? undefined : (event) => tests.every((test) => test(event));
}

/** Filters that share their types share these too. */
const sets = new WeakMap<readonly EventType[], ReadonlySet<string>>();

function setOf(types: readonly EventType[]): ReadonlySet<string> {
  const set = sets.get(types) ?? new Set<string>(types);
  sets.set(types, set);
  return set;
}

/** What a row of `events` must fulfil besides its type and project. */
export function entityConditions({ subject, runId, taskId }: EventFilter): Sql[] {
  const conditions: Sql[] = [];
  if (runId !== undefined) conditions.push(sql`run_id = ${runId}`);
  if (taskId !== undefined) conditions.push(sql`task_id = ${taskId}`);
  if (subject !== undefined) {
    const slash = subject.indexOf('/');
    const [kind, id] = [subject.slice(0, slash), subject.slice(slash + 1)];
    conditions.push(sql`entity_id = ${id}`);
    // Those two are found by the indexes that they have anyway; the index of entities leaves them out by name.
    if (kind === 'run') conditions.push(sql`entity_type = 'run' AND run_id = ${id}`);
    else if (kind === 'task') conditions.push(sql`entity_type = 'task' AND task_id = ${id}`);
    else conditions.push(sql`entity_type = ${kind} AND entity_type NOT IN ('run', 'task')`);
  }
  return conditions;
}

/** The projects that an event may be of; undefined where any will do, or none. */
export function wantedProjects({ projectId, projects }: EventFilter): readonly string[] | undefined {
  if (projectId === undefined) return projects ?? undefined;
  return !projects || projects.includes(projectId) ? [projectId] : [];
}
