import type { CloudEvent, EventType } from '../../contract/events.ts';
import type { Queryable } from '../database/database.ts';
import { empty, sql } from '../database/sql.ts';
import { type ChainedEvent, chainHash, genesisHash } from './chain.ts';

export interface EventFilter {
  runId?: string | undefined;
  taskId?: string | undefined;
}

interface EventRow extends ChainedEvent {
  hash: string;
}

/** Events after a place in the log, in its order. */
export async function readEvents(
  database: Queryable,
  query: { after: number; limit: number } & EventFilter,
): Promise<CloudEvent[]> {
  const rows = await database.many<EventRow>(
    sql`SELECT * FROM events WHERE sequence > ${query.after}
        ${query.runId === undefined ? empty : sql`AND run_id = ${query.runId}`}
        ${query.taskId === undefined ? empty : sql`AND task_id = ${query.taskId}`}
        ORDER BY sequence LIMIT ${query.limit}`,
  );
  return rows.map(presentEvent);
}

/** The number of the newest event; 0 where there is none. */
export async function readHead(database: Queryable): Promise<number> {
  const row = await database.one<{ head: number }>(
    sql`SELECT coalesce(max(sequence), 0)::bigint AS head FROM events`,
  );
  return row.head;
}

/** Walks the chain. Returns the first number at which it does not hold, or null where it holds throughout. */
export async function findBrokenLink(database: Queryable): Promise<number | null> {
  let hash = genesisHash;
  let sequence = 0;
  for (;;) {
    const rows = await database.many<EventRow>(
      sql`SELECT * FROM events WHERE sequence > ${sequence} ORDER BY sequence LIMIT 1000`,
    );
    if (rows.length === 0) return null;
    for (const row of rows) {
      if (row.sequence !== sequence + 1 || row.hash !== chainHash(hash, row)) return sequence + 1;
      hash = row.hash;
      sequence = row.sequence;
    }
  }
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
    actor: row.actor,
    data: row.data as Record<string, unknown>,
  };
}
