import type { CloudEvent, EventType } from '../../contract/events.ts';
import type { Queryable } from '../database/database.ts';
import { join, type Sql, sql } from '../database/sql.ts';
import type { ChainedEvent } from './chain.ts';
import { type EventFilter, entityConditions, wantedProjects } from './filter.ts';

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
/** Times follow the numbers but for the length of a transaction and a clock that was set. */
const disorder = sql`interval '65 minutes'`;

/** Events after a place in the log, in its order. */
export async function readEvents(database: Queryable, query: EventQuery): Promise<CloudEvent[]> {
  const bounded = await boundByTime(database, query);
  const keys = mergeKeys(query);
  const statement = keys === undefined ? plainStatement(bounded) : mergeStatement(bounded, keys);
  const rows = await database.many<EventRow>(statement);
  return rows.map(presentEvent);
}

/** The number of the newest event; 0 where there is none. */
export async function readHead(database: Queryable): Promise<number> {
  const row = await database.one<{ head: number }>(
    sql`SELECT coalesce(max(sequence), 0)::bigint AS head FROM events`,
  );
  return row.head;
}

type BoundedQuery = EventQuery & { conditions: Sql[] };

/** Times become numbers first, so that a page of last month does not read what came before it. */
async function boundByTime(database: Queryable, query: EventQuery): Promise<BoundedQuery> {
  const { since, until } = query;
  const conditions: Sql[] = [];
  let { after } = query;
  if (since !== undefined) {
    const first = await findPlace(database, sql`${since}::timestamptz - ${disorder}`);
    after = Math.max(after, first - 1);
    conditions.push(sql`time >= ${since}::timestamptz`);
  }
  if (until !== undefined) {
    const end = await findPlace(database, sql`${until}::timestamptz + ${disorder}`);
    conditions.push(sql`sequence < ${end} AND time < ${until}::timestamptz`);
  }
  return { ...query, after, conditions };
}

/** The first number whose event is not before this time, by halves; behind the newest where all are. */
async function findPlace(database: Queryable, time: Sql): Promise<number> {
  const row = await database.one<{ place: number }>(
    sql`WITH RECURSIVE halves(low, high) AS (
          SELECT 1::bigint, (SELECT coalesce(max(sequence), 0) FROM events) + 1
          UNION ALL
          SELECT CASE WHEN middle.is_before THEN middle.sequence + 1 ELSE low END,
            CASE WHEN middle.is_before THEN high ELSE middle.sequence END
          FROM halves, LATERAL (
            SELECT sequence, events.time < ${time} AS is_before FROM events WHERE sequence = (low + high) / 2
          ) AS middle WHERE low < high
        ) SELECT max(low) AS place FROM halves`,
  );
  return row.place;
}

interface Keys {
  types: readonly EventType[] | undefined;
  projects: readonly string[] | undefined;
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

function mergeStatement(query: BoundedQuery, { types, projects }: Keys): Sql {
  const { after, limit } = query;
  const conditions = [sql`sequence > ${after}`, ...query.conditions];
  const keys: Sql[] = [];
  if (types !== undefined) {
    keys.push(sql`unnest(${types}::text[]) AS wanted_type`);
    conditions.push(sql`type = wanted_type`);
  } else if (query.types !== undefined) conditions.push(sql`type = ANY(${query.types}::text[])`);
  if (projects !== undefined) {
    keys.push(sql`unnest(${projects}::text[]) AS wanted_project`);
    conditions.push(sql`project_id = wanted_project`);
  } else if (wantedProjects(query) !== undefined)
    conditions.push(sql`project_id = ANY(${wantedProjects(query)}::text[])`);
  return sql`WITH found AS (
      SELECT one.sequence FROM ${join(keys, ' CROSS JOIN ')} CROSS JOIN LATERAL (
        SELECT sequence FROM events WHERE ${join(conditions, ' AND ')} ORDER BY sequence LIMIT ${limit}
      ) AS one ORDER BY one.sequence LIMIT ${limit}
    ) SELECT events.* FROM found JOIN events USING (sequence) ORDER BY sequence`;
}

function plainStatement(query: BoundedQuery): Sql {
  const { types, after, limit } = query;
  const projects = wantedProjects(query);
  const conditions = [sql`sequence > ${after}`, ...query.conditions, ...entityConditions(query)];
  if (types !== undefined) conditions.push(sql`type = ANY(${types}::text[])`);
  if (projects !== undefined) conditions.push(sql`project_id = ANY(${projects}::text[])`);
  return sql`SELECT * FROM events WHERE ${join(conditions, ' AND ')} ORDER BY sequence LIMIT ${limit}`;
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
