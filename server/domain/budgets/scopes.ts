import type { BudgetView } from '../../../contract/runs.ts';
import type { Queryable } from '../../database/database.ts';
import { type Sql, sql } from '../../database/sql.ts';
import { newId } from '../../ids.ts';

export interface Place {
  scope: BudgetView['scope'];
  key: string;
}

/** Makes sure that a budget exists; an existing one keeps its limits. */
export async function ensureBudget(
  transaction: Queryable,
  budget: { scope: BudgetView['scope']; key: string; limitTokens: number | null; limitMicros: number | null },
): Promise<void> {
  await transaction.many(
    sql`INSERT INTO budgets (id, scope, scope_key, limit_tokens, limit_micros)
        VALUES (${newId('bud')}, ${budget.scope}, ${budget.key}, ${budget.limitTokens}, ${budget.limitMicros})
        ON CONFLICT (scope, scope_key) DO NOTHING`,
  );
}

/** The places whose budgets stand above a run's calls on a day, as rows of scope and key. */
function placesAbove(runId: string, day: string): Sql {
  return sql`(SELECT places.scope, places.key FROM runs LEFT JOIN tasks ON tasks.id = runs.task_id,
        LATERAL (VALUES ('task', tasks.id), ('agent', runs.agent_id), ('agent_day', runs.agent_id || '/' || ${day}::text),
          ('project', tasks.project_id)) AS places (scope, key)
      WHERE runs.id = ${runId} AND places.key IS NOT NULL
      UNION ALL SELECT 'run', ${runId}::text UNION ALL SELECT 'day', ${day}::text)`;
}

interface Above {
  runId: string;
  day: string;
  dayLimitMicros: number;
}

/**
 * The budgets that a run's calls are counted in, each of them, made where they are not there yet. They are made in one
 * order and before any of them is locked, so that two transactions cannot wait for one another.
 * @returns their identifiers
 */
export async function ensureBudgetsAbove(transaction: Queryable, above: Above): Promise<string[]> {
  const found = await findAbove(transaction, above);
  const missing = found.filter(({ id, scope }) => id === null && scope !== 'run');
  for (const { scope, key, dayUsd } of missing) {
    const limitMicros =
      scope === 'day' ? above.dayLimitMicros : dayUsd === null ? null : Math.round(dayUsd * 1e6);
    await ensureBudget(transaction, { scope, key, limitTokens: null, limitMicros });
  }
  const all = missing.length === 0 ? found : await findAbove(transaction, above);
  return all.flatMap(({ id }) => (id === null ? [] : [id]));
}

function findAbove(
  transaction: Queryable,
  { runId, day }: Above,
): Promise<(Place & { id: string | null; dayUsd: number | null })[]> {
  return transaction.many(
    sql`SELECT above.scope, above.key, budgets.id,
          (agent_limits.settings ->> 'dayUsd')::double precision AS "dayUsd"
        FROM ${placesAbove(runId, day)} AS above
          LEFT JOIN budgets ON budgets.scope = above.scope AND budgets.scope_key = above.key
          LEFT JOIN agent_limits ON above.scope = 'agent_day' AND agent_limits.agent_id = split_part(above.key, '/', 1)
        ORDER BY above.scope, above.key`,
  );
}
