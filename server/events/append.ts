import type { EventType } from '../../contract/events.ts';
import type { Queryable } from '../database/database.ts';
import { join, json, type Sql, sql } from '../database/sql.ts';
import { newId } from '../ids.ts';

/** What happened, as a mutation tells it; the sequencer adds the number. */
export interface NewEvent {
  type: EventType;
  entityType:
    | 'agent'
    | 'artifact'
    | 'ask'
    | 'budget'
    | 'change'
    | 'credential'
    | 'egress'
    | 'halt'
    | 'hook'
    | 'key'
    | 'message'
    | 'model'
    | 'notification'
    | 'policy'
    | 'principal'
    | 'project'
    | 'provider'
    | 'run'
    | 'session'
    | 'task'
    | 'webhook'
    | 'worker';
  entityId: string;
  taskId?: string | null;
  runId?: string | null;
  /** Where neither the entity nor the task or run tells: the sequencer finds it for those. */
  projectId?: string | null;
  actor: string;
  data?: Record<string, unknown>;
}

/**
 * Inserts events, unnumbered. Call it in the transaction of the mutation, after its row is locked: the row
 * lock is what keeps the events of one entity in their order.
 */
export async function appendEvents(transaction: Queryable, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await transaction.many(
    sql`INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data, project_id)
        VALUES ${join(
          events.map((event) => sql`(${eventValues(event)}, ${event.projectId ?? null}::text)`),
          ', ',
        )}`,
  );
}

/** The values of one event for an `INSERT … SELECT` inside a larger statement. */
export function eventValues(event: NewEvent): Sql {
  return sql`${newId('evt')}::text, ${event.type}::text, ${event.entityType}::text, ${event.entityId}::text,
    ${event.taskId ?? null}::text, ${event.runId ?? null}::text, ${event.actor}::text,
    ${json(event.data ?? {})}`;
}
