import { type Sql, sql } from '../database/sql.ts';

/**
 * CTEs that note a foreign agent's sign of life, once a second at most, since claims follow one another faster; and
 * where it was offline, its event and the timer that notices its silence. They read a CTE `holder` with `online` and
 * `last_seen_at` of the agent's locked row, or without a row where nothing is to be noted.
 * @param now milliseconds since 1970
 */
export function signOfLife(agentId: string, now: number): Sql {
  const at = sql`${new Date(now).toISOString()}::timestamptz`;
  return sql`seen AS (
      UPDATE agents SET last_seen_at = ${at}, online = true FROM holder
      WHERE agents.id = ${agentId} AND (NOT holder.online OR holder.last_seen_at < ${at} - interval '1 second')
      RETURNING agents.id, agents.name, agents.heartbeat_seconds, holder.online AS before
    ), watched AS (
      INSERT INTO timers (id, due_at, kind, ref)
      SELECT 'tmr_' || gen_random_uuid(), ${at} + make_interval(secs => 2 * heartbeat_seconds), 'agent.silence', id
      FROM seen WHERE NOT before
      ON CONFLICT (kind, ref) DO UPDATE SET due_at = excluded.due_at
    ), greeted AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, actor, data)
      SELECT 'evt_' || gen_random_uuid(), 'agent.online', 'agent', id, name, '{}' FROM seen WHERE NOT before
    )`;
}
