import type { Queryable } from '../database/database.ts';
import { raw, sql } from '../database/sql.ts';

/** What is counted row by row is counted up to here: a scrape costs the same however much there is. */
export const mostCounted = 10_000;

export interface BudgetGauge {
  scope: string;
  key: string;
  limitMicros: number | null;
  spentMicros: number;
  reservedMicros: number;
}

/** How things stand now. Ages in seconds; 0 where there is nothing. */
export interface Standing {
  dueRuns: number;
  oldestDueSeconds: number;
  claimableTasks: number;
  runningRuns: number;
  heldTasks: number;
  workers: number;
  workerPlaces: number;
  agentPlaces: number;
  openAsks: number;
  overdueAsks: number;
  oldestOverdueSeconds: number;
  unnumberedEvents: number;
  sequencerLagSeconds: number;
  lastSequence: number;
  webhookDeadLetters: number;
  notificationDeadLetters: number;
  halted: number;
}

const capped = raw(String(mostCounted));

/** One statement, each part of it by an index that holds only what is open, or with a limit. */
export async function readStanding(database: Queryable): Promise<Standing> {
  return database.one<Standing>(
    sql`WITH due AS (SELECT wake_at FROM runs WHERE wake_at <= now() AND worker_id IS NULL LIMIT ${capped}),
          held AS (SELECT kind FROM runs WHERE worker_id IS NOT NULL LIMIT ${capped}),
          open_asks AS (SELECT deadline FROM asks WHERE status = 'open' ORDER BY deadline LIMIT ${capped}),
          overdue AS (SELECT deadline FROM open_asks WHERE deadline < now())
        SELECT (SELECT count(*) FROM due) AS "dueRuns",
          (SELECT coalesce(extract(epoch FROM now() - min(wake_at)), 0)::float8 FROM runs
            WHERE wake_at <= now() AND worker_id IS NULL) AS "oldestDueSeconds",
          (SELECT count(*) FROM (SELECT FROM tasks WHERE ready_at IS NOT NULL LIMIT ${capped}) AS ready) AS "claimableTasks",
          (SELECT count(*) FROM held WHERE kind <> 'external') AS "runningRuns",
          (SELECT count(*) FROM held WHERE kind = 'external') AS "heldTasks",
          (SELECT count(*) FROM workers) AS workers,
          (SELECT coalesce(sum(capacity), 0)::integer FROM workers) AS "workerPlaces",
          (SELECT coalesce(sum(capacity), 0)::integer FROM agents
            WHERE runtime = 'foreign' AND online AND suspended_at IS NULL) AS "agentPlaces",
          (SELECT count(*) FROM open_asks) AS "openAsks",
          (SELECT count(*) FROM overdue) AS "overdueAsks",
          (SELECT coalesce(extract(epoch FROM now() - min(deadline)), 0)::float8 FROM overdue) AS "oldestOverdueSeconds",
          (SELECT count(*) FROM (SELECT FROM event_outbox LIMIT ${capped}) AS unnumbered) AS "unnumberedEvents",
          coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - time), 0)::float8 FROM event_outbox
            ORDER BY position LIMIT 1), 0) AS "sequencerLagSeconds",
          (SELECT coalesce(max(sequence), 0) FROM events) AS "lastSequence",
          (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE status = 'dead' LIMIT ${capped}) AS dead)
            AS "webhookDeadLetters",
          (SELECT count(*) FROM (SELECT FROM notification_deliveries WHERE status = 'dead' LIMIT ${capped}) AS dead)
            AS "notificationDeadLetters",
          (SELECT count(*) FROM halt) AS halted`,
  );
}

const mostBudgets = 500;

/** The day's budget, and those of projects and agents; of runs and tasks there may be a million. */
export async function readBudgets(database: Queryable): Promise<BudgetGauge[]> {
  const columns = sql`scope, scope_key AS key, limit_micros AS "limitMicros", spent_micros AS "spentMicros",
    reserved_micros AS "reservedMicros"`;
  const today = sql`to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')`;
  return database.many<BudgetGauge>(
    sql`SELECT scope, 'today' AS key, "limitMicros", "spentMicros", "reservedMicros" FROM
          (SELECT ${columns} FROM budgets WHERE scope = 'day' AND scope_key = ${today}) AS day
        UNION ALL (SELECT ${columns} FROM budgets WHERE scope = 'project' ORDER BY scope_key LIMIT ${raw(String(mostBudgets))})
        UNION ALL (SELECT ${columns} FROM budgets WHERE scope = 'agent' ORDER BY scope_key LIMIT ${raw(String(mostBudgets))})`,
  );
}

/** How many open tasks there are of each status, up to the cap. */
export async function readOpenTasks(database: Queryable): Promise<{ status: string; count: number }[]> {
  const parts = ['in_progress', 'blocked', 'in_review'].map(
    (status) =>
      sql`(SELECT ${status}::text AS status, count(*) FROM (SELECT FROM tasks WHERE status = ${status} LIMIT ${capped}) AS open)`,
  );
  const [first, second, third] = parts;
  return database.many(sql`${first} UNION ALL ${second} UNION ALL ${third}`);
}
