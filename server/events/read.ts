import type { CloudEvent, EventType } from '../../contract/events.ts';
import type { Queryable } from '../database/database.ts';
import { plannedLimit } from '../database/planned-limit.ts';
import { empty, join, raw, type Sql, sql } from '../database/sql.ts';
import type { ChainedEvent } from './chain.ts';
import { type EventFilter, entityConditions, wantedProjects } from './filter.ts';
import { disorder } from './times.ts';

export interface EventRow extends ChainedEvent {
  hash: string;
}

export type EventQuery = EventFilter & {
  after: number;
  limit: number;
  /** Times as ISO 8601: at or after, and before. */
  since?: string | undefined;
  until?: string | undefined;
};

/** More types or projects at once than these are filtered out of the whole log. */
const mostMerged = 60;
/** A time is looked for in steps of at least so many events: they are read in any case, for the disorder. */
const leastStep = raw('64');
/** So many of a merge's events may lie in the disorder before a time without a second read. */
const spare = 16;

const columns = sql`sequence, id, type, entity_type, entity_id, task_id, run_id, project_id, actor, data, time`;

/** Events after a place in the log, in its order. */
export async function readEvents(database: Queryable, query: EventQuery): Promise<CloudEvent[]> {
  const found: CloudEvent[] = [];
  for (let { after } = query; ; ) {
    const { statement, most } = statementFor({ ...query, after });
    const rows = await database.many<EventRow>(statement);
    for (const row of rows) if (isWithin(query, row.time)) found.push(presentEvent(row));
    const last = rows.at(-1);
    if (found.length >= query.limit || rows.length < most || last === undefined)
      return found.slice(0, query.limit);
    after = last.sequence;
  }
}

/** The number of the newest event; 0 where there is none. */
export async function readHead(database: Queryable): Promise<number> {
  const row = await database.one<{ head: number }>(
    sql`SELECT coalesce(max(sequence), 0)::bigint AS head FROM events`,
  );
  return row.head;
}

interface Bounds {
  /** Where the times lie, as the query `places`; empty where none are given. */
  places: Sql[];
  after: Sql;
  until: Sql[];
}

/** Times become numbers first, so that a page of last month does not read what came before it. */
function boundsOf({ after, since, until }: EventQuery): Bounds {
  if (since === undefined && until === undefined) return { places: [], after: sql`${after}`, until: [] };
  const first = since === undefined ? sql`0` : lastPlaceBefore(sql`${since}::timestamptz - ${disorder}`);
  const end = until === undefined ? sql`0` : lastPlaceBefore(sql`${until}::timestamptz + ${disorder}`);
  return {
    places: [
      sql`places AS MATERIALIZED (SELECT greatest(${after}, (${first})) AS first, (${end}) + ${leastStep} AS until)`,
    ],
    after: sql`(SELECT first FROM places)`,
    until: until === undefined ? [] : [sql`sequence < (SELECT until FROM places)`],
  };
}

/**
 * The last multiple of `leastStep` whose event is before this time; 0 where none is. The places that are looked at
 * first are always the same ones, so that they are in memory.
 */
function lastPlaceBefore(time: Sql): Sql {
  return sql`WITH RECURSIVE descent(place, step) AS (
      SELECT 0::bigint, 2 * (1::bigint << floor(log(2, greatest(max(sequence), 1)))::integer) FROM events
      UNION ALL
      SELECT CASE WHEN coalesce((SELECT events.time < ${time} FROM events WHERE sequence = place + step), false)
        THEN place + step ELSE place END, step / 2
      FROM descent WHERE step >= ${leastStep}
    ) SELECT max(place) FROM descent`;
}

interface Keys {
  types: readonly EventType[] | undefined;
  projects: readonly string[] | undefined;
}

/** @returns what reads a page, and how many rows it gives where there are more */
function statementFor(query: EventQuery): { statement: Sql; most: number } {
  const keys = mergeKeys(query);
  if (keys === undefined) return { statement: plainStatement(query), most: query.limit };
  const isTimed = query.since !== undefined || query.until !== undefined;
  const most = isTimed ? query.limit + spare : query.limit;
  return { statement: mergeStatement({ ...query, limit: most }, keys), most };
}

/**
 * Where types or projects alone are asked for, each is read by itself in the log's order, and then merged. Undefined
 * where an entity leads to few events anyway, or nothing restricts enough.
 */
function mergeKeys(query: EventQuery): Keys | undefined {
  if (entityConditions(query).length > 0) return undefined;
  const wanted = wantedProjects(query);
  const projects = wanted !== undefined && wanted.length <= mostMerged ? wanted : undefined;
  const isFew = (query.types?.length ?? 0) * (projects?.length ?? 1) <= mostMerged;
  const types = isFew ? query.types : undefined;
  return types === undefined && projects === undefined ? undefined : { types, projects };
}

/**
 * The index alone gives the numbers, and so the last one of the page; then each type's and project's rows up to there
 * are read. Equalities would let the planner walk through the whole log for a type that is rare; what is compared and
 * ordered as a row, only the index of these columns gives. Times are left to whoever reads the rows, since no index
 * holds them.
 */
function mergeStatement(query: EventQuery, { types, projects }: Keys): Sql {
  const keys = [
    ...(projects === undefined ? [] : [{ column: 'project_id', wanted: 'wanted_project', values: projects }]),
    ...(types === undefined ? [] : [{ column: 'type', wanted: 'wanted_type', values: types }]),
  ];
  const column = raw(keys.map((key) => key.column).join(', '));
  const wanted = raw(keys.map((key) => key.wanted).join(', '));
  // Through a SELECT the planner does not count them, and so makes one plan for any number.
  const lists = keys.map((key) => sql`unnest((SELECT ${key.values}::text[])) AS ${raw(key.wanted)}`);
  const { places, after, until } = boundsOf(query);
  const rest = [...until, ...restConditions(query, { types, projects })];
  // What the condition of the index says; the planner does not see it in the comparison.
  if (projects !== undefined) rest.push(sql`project_id IS NOT NULL`);
  const most = plannedLimit(query.limit);
  const eachOf = (
    what: Sql,
    end: Sql,
  ) => sql`SELECT one.* FROM ${join(lists, ' CROSS JOIN ')} CROSS JOIN LATERAL (
      SELECT ${what} FROM events
      WHERE (${column}, sequence) > (${wanted}, ${after}::bigint) AND ${end} ${and(rest)}
      ORDER BY ${column}, sequence LIMIT ${most}
    ) AS one ORDER BY one.sequence LIMIT ${most}`;
  const numbers = eachOf(sql`sequence`, sql`(${column}) <= (${wanted})`);
  const rows = eachOf(columns, sql`(${column}, sequence) <= (${wanted}, (SELECT sequence FROM last))`);
  const last = sql`last AS MATERIALIZED (SELECT max(sequence) AS sequence FROM (
    SELECT sequence FROM (${numbers}) AS numbers ORDER BY sequence LIMIT ${query.limit}) AS page)`;
  return sql`${withQueries([...places, last])} SELECT * FROM (${rows}) AS page ORDER BY sequence LIMIT ${query.limit}`;
}

const withQueries = (queries: readonly Sql[]): Sql =>
  queries.length === 0 ? empty : sql`WITH ${join(queries, ', ')}`;

const and = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? empty : sql`AND ${join(conditions, ' AND ')}`;

function plainStatement(query: EventQuery): Sql {
  const { since, until, limit } = query;
  const bounds = boundsOf(query);
  const rest = restConditions(query, { types: undefined, projects: undefined });
  const conditions = [
    sql`sequence > ${bounds.after}`,
    ...bounds.until,
    ...(since === undefined ? [] : [sql`time >= ${since}::timestamptz`]),
    ...(until === undefined ? [] : [sql`time < ${until}::timestamptz`]),
    ...entityConditions(query),
    ...rest,
  ];
  const rows = sql`SELECT ${columns} FROM events WHERE ${join(conditions, ' AND ')} ORDER BY sequence`;
  // How far one must read for many types or projects tells only which they are: there each execution is planned.
  const page =
    rest.length > 0
      ? sql`${rows} LIMIT ${limit}`
      : sql`SELECT * FROM (${rows} LIMIT ${plannedLimit(limit)}) AS page ORDER BY sequence LIMIT ${limit}`;
  return sql`${withQueries(bounds.places)} ${page}`;
}

/** What the keys of a merge do not say of type and project. */
function restConditions(query: EventQuery, keys: Keys): Sql[] {
  const projects = wantedProjects(query);
  const conditions: Sql[] = [];
  if (keys.types === undefined && query.types !== undefined)
    conditions.push(sql`type = ANY(${query.types}::text[])`);
  if (keys.projects === undefined && projects !== undefined)
    conditions.push(sql`project_id = ANY(${projects}::text[])`);
  return conditions;
}

function isWithin({ since, until }: EventQuery, time: string): boolean {
  const at = Date.parse(time);
  return (since === undefined || at >= Date.parse(since)) && (until === undefined || at < Date.parse(until));
}

function presentEvent(row: EventRow): CloudEvent {
  return {
    specversion: '1.0',
    id: row.id,
    source: '/mission-control',
    type: row.type as EventType,
    subject: `${row.entity_type}/${row.entity_id}`,
    time: row.time,
    sequence: row.sequence,
    ...(row.task_id === null ? {} : { taskid: row.task_id }),
    ...(row.run_id === null ? {} : { runid: row.run_id }),
    ...(row.project_id === null ? {} : { projectid: row.project_id }),
    actor: row.actor,
    data: row.data as Record<string, unknown>,
  };
}
