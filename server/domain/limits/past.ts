import type { Database, Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import type { Past, Surprise } from './ordinary.ts';

/** How far back an agent's range is read. */
const lastRuns = 50;

/** What an agent's runs were like, but for the one given. */
export async function readPast(
  database: Queryable,
  { agentId, runId }: { agentId: string; runId: string },
): Promise<Past> {
  const runs = await database.many<{ id: string; spentMicros: number; errors: number }>(
    sql`SELECT runs.id, coalesce(budgets.spent_micros, 0) AS "spentMicros",
          (SELECT count(*) FROM steps WHERE steps.run_id = runs.id AND kind = 'tool' AND status = 'failed')::integer AS errors
        FROM runs LEFT JOIN budgets ON scope = 'run' AND scope_key = runs.id
        WHERE runs.agent_id = ${agentId} AND runs.id <> ${runId} AND runs.kind = 'task' AND runs.ended_at IS NOT NULL
        ORDER BY runs.created_at DESC LIMIT ${lastRuns}`,
  );
  const ids = runs.map(({ id }) => id);
  const tools = await database.many<{ name: string }>(
    sql`SELECT DISTINCT name FROM steps WHERE run_id = ANY(${ids}::text[]) AND kind = 'tool' AND status = 'done'`,
  );
  const hosts = await database.many<{ source: string }>(
    sql`SELECT DISTINCT taint ->> 'source' AS source
        FROM steps, jsonb_array_elements(steps.result -> 'taint') AS taint
        WHERE run_id = ANY(${ids}::text[]) AND kind = 'tool' AND jsonb_typeof(steps.result -> 'taint') = 'array'`,
  );
  return {
    runs: runs.length,
    tools: new Set(tools.map(({ name }) => name)),
    hosts: new Set(hosts.map(({ source }) => source)),
    spentMicros: runs.map(({ spentMicros }) => spentMicros),
    errors: runs.map(({ errors }) => errors),
  };
}

/**
 * Keeps a surprise, with its event the first time.
 * @returns the call that it was first noticed at, and whether that was now
 */
export async function keepSurprise(
  database: Database,
  run: { runId: string; taskId: string; agentId: string; agent: string },
  surprise: Surprise & { call: string; decision: 'ask' | 'suspend' },
): Promise<{ call: string; isNew: boolean }> {
  const { kind, subject, reason, call, decision } = surprise;
  return database.transaction('limits.surprise', async (transaction) => {
    const made = await transaction.maybe(
      sql`INSERT INTO agent_surprises (run_id, kind, subject, call, reason)
          VALUES (${run.runId}, ${kind}, ${subject}, ${call}, ${reason})
          ON CONFLICT (run_id, kind, subject) DO NOTHING RETURNING run_id`,
    );
    if (made !== undefined) {
      await appendEvents(transaction, [
        {
          type: 'agent.surprised',
          entityType: 'agent',
          entityId: run.agentId,
          runId: run.runId,
          taskId: run.taskId,
          actor: 'control-plane',
          data: { agent: run.agent, kind, subject, reason, decision },
        },
      ]);
      return { call, isNew: true };
    }
    const row = await transaction.one<{ call: string }>(
      sql`SELECT call FROM agent_surprises WHERE run_id = ${run.runId} AND kind = ${kind} AND subject = ${subject}`,
    );
    return { call: row.call, isNew: false };
  });
}
