import type { CloudEvent, EventType } from '../../contract/events.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';

/** What is counted of the log, by the name of its counter. */
export interface EventCounts {
  tasksCreated(): void;
  taskEnded(status: string, seconds: number | null): void;
  runEnded(kind: string, status: string, seconds: number | null): void;
  leaseLost(kind: 'run' | 'task'): void;
  stepBegun(kind: string): void;
  stepEnded(status: string): void;
  stepFailed(kind: string, errorClass: string): void;
  budgetExhausted(): void;
  egressRefused(): void;
  secretStopped(): void;
  undelivered(channel: 'webhook' | 'notification'): void;
  overdue(what: 'run' | 'task'): void;
}

const ends: Partial<Record<EventType, string>> = {
  'task.completed': 'completed',
  'task.failed': 'failed',
  'task.cancelled': 'cancelled',
  'run.succeeded': 'succeeded',
  'run.failed': 'failed',
  'run.stopped': 'stopped',
};

const plain: Partial<Record<EventType, (counts: EventCounts, event: CloudEvent) => void>> = {
  'task.created': (counts) => counts.tasksCreated(),
  'run.lease_expired': (counts) => counts.leaseLost('run'),
  'task.lease_expired': (counts) => counts.leaseLost('task'),
  'run.overdue': (counts) => counts.overdue('run'),
  'task.overdue': (counts) => counts.overdue('task'),
  'budget.exhausted': (counts) => counts.budgetExhausted(),
  'egress.refused': (counts) => counts.egressRefused(),
  'egress.secret_stopped': (counts) => counts.secretStopped(),
  'webhook.undelivered': (counts) => counts.undelivered('webhook'),
  'notification.undelivered': (counts) => counts.undelivered('notification'),
  'step.intended': (counts, event) => counts.stepBegun(String(event.data['kind'])),
  'step.completed': (counts, event) => counts.stepEnded(String(event.data['status'])),
};

/** The types that are counted, so that nothing else is read. */
export const countedTypes = [...Object.keys(ends), ...Object.keys(plain)] as EventType[];

/** Counts a batch; how long tasks and runs took, and why steps failed, is asked once for all of them. */
export async function countEvents(
  database: Queryable,
  events: readonly CloudEvent[],
  counts: EventCounts,
): Promise<void> {
  for (const event of events) plain[event.type]?.(counts, event);
  await countFailures(database, events, counts);
  await countEnds(database, events, counts);
}

async function countFailures(
  database: Queryable,
  events: readonly CloudEvent[],
  counts: EventCounts,
): Promise<void> {
  const failed = events.filter(({ type, data }) => type === 'step.completed' && data['status'] === 'failed');
  if (failed.length === 0) return;
  const rows = await database.many<{ kind: string; class: string }>(
    sql`SELECT kind, coalesce(error ->> 'class', 'unknown') AS class FROM steps WHERE (run_id, seq) IN
          (SELECT * FROM unnest(${failed.map(({ runid }) => runid ?? '')}::text[],
            ${failed.map(({ data }) => Number(data['seq']))}::integer[]))`,
  );
  for (const row of rows) counts.stepFailed(row.kind, row.class);
}

async function countEnds(
  database: Queryable,
  events: readonly CloudEvent[],
  counts: EventCounts,
): Promise<void> {
  const ended = events.flatMap((event) => {
    const status = ends[event.type];
    const [entity = '', id = ''] = event.subject.split('/');
    return status === undefined ? [] : [{ entity, id, status, at: event.time }];
  });
  if (ended.length === 0) return;
  const idsOf = (wanted: string) => ended.flatMap(({ entity, id }) => (entity === wanted ? [id] : []));
  const rows = await database.many<{ id: string; kind: string; began: string }>(
    sql`SELECT id, 'task' AS kind, created_at AS began FROM tasks WHERE id = ANY(${idsOf('task')}::text[])
        UNION ALL SELECT id, kind, coalesce(started_at, created_at) FROM runs WHERE id = ANY(${idsOf('run')}::text[])`,
  );
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const { entity, id, status, at } of ended) {
    const row = found.get(id);
    const seconds = row === undefined ? null : Math.max(0, Date.parse(at) - Date.parse(row.began)) / 1_000;
    if (entity === 'task') counts.taskEnded(status, seconds);
    else counts.runEnded(row?.kind ?? 'unknown', status, seconds);
  }
}
