import { type Sql, sql } from '../database/sql.ts';

/**
 * CTEs that note a foreign agent's sign of life: `seen`, and where it was offline `came` with its event and the timer
 * that notices its silence. No more than once a second, since claims follow one another faster.
 * @param when a condition, such as sql`EXISTS (SELECT FROM beat)`; now: milliseconds since 1970
 */
export function signOfLife(agentId: string, now: number, when: Sql): Sql {
  const at = sql`${new Date(now).toISOString()}::timestamptz`;
  return sql`seen AS (
      UPDATE agents SET last_seen_at = ${at}
      WHERE id = ${agentId} AND online AND last_seen_at < ${at} - interval '1 second' AND ${when}
    ), came AS (
      UPDATE agents SET last_seen_at = ${at}, online = true
      WHERE id = ${agentId} AND runtime = 'foreign' AND NOT online AND ${when}
      RETURNING id, name, heartbeat_seconds
    ), watched AS (
      INSERT INTO timers (id, due_at, kind, ref)
      SELECT 'tmr_' || gen_random_uuid(), ${at} + make_interval(secs => 2 * heartbeat_seconds), 'agent.silence', id FROM came
      ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at
    ), greeted AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, actor, data)
      SELECT 'evt_' || gen_random_uuid(), 'agent.online', 'agent', id, name, '{}' FROM came
    )`;
}
