import type { BudgetView } from '../../../contract/runs.ts';
import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import { ensureBudgetsAbove } from './scopes.ts';

/** Tokens, and money in millionths of a US dollar. */
export interface Amount {
  tokens: number;
  micros: number;
}

export interface BudgetRow extends BudgetView {
  id: string;
}

const columns = sql`id, scope, scope_key AS key, limit_tokens AS "limitTokens", limit_micros AS "limitMicros",
  spent_tokens AS "spentTokens", spent_micros AS "spentMicros", reserved_tokens AS "reservedTokens",
  reserved_micros AS "reservedMicros"`;

/** The database's business date in UTC, the key of the day's budget. */
export async function readToday(database: Queryable): Promise<string> {
  const row = await database.one<{ day: string }>(
    sql`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day`,
  );
  return row.day;
}

export async function findBudget(
  database: Queryable,
  scope: BudgetView['scope'],
  key: string,
): Promise<BudgetRow | undefined> {
  return database.maybe<BudgetRow>(
    sql`SELECT ${columns} FROM budgets WHERE scope = ${scope} AND scope_key = ${key}`,
  );
}

export type Refusal = { kind: 'reserved' | 'spent'; budget: BudgetRow; wanted: Amount };

/** A reservation did not fit: the money is spent, or merely reserved by calls that are under way. */
export class BudgetRefused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(`the ${refusal.budget.scope} budget is ${refusal.kind === 'spent' ? 'spent' : 'reserved'}`);
    this.name = 'BudgetRefused';
    this.refusal = refusal;
  }
}

/**
 * Reserves the highest price of a call against every budget above it: of its run, task, agent, project and day.
 * Rows are locked in the order of their ids, so that two calls cannot wait for one another.
 * @param reservation.dayLimitMicros for a day that has no budget yet, as after midnight
 * @throws BudgetRefused; the transaction must then be rolled back
 */
export async function reserve(
  transaction: Queryable,
  reservation: { runId: string; seq: number; day: string; dayLimitMicros: number; amount: Amount },
): Promise<void> {
  const { runId, seq, day, amount, dayLimitMicros } = reservation;
  const budgets = await lockBudgets(
    transaction,
    await ensureBudgetsAbove(transaction, { runId, day, dayLimitMicros }),
  );
  for (const budget of budgets) {
    const verdict = judge(budget, amount);
    if (verdict !== 'fits') throw new BudgetRefused({ kind: verdict, budget, wanted: amount });
  }
  await transaction.many(
    sql`WITH held AS (
          INSERT INTO reservations (run_id, seq, budget_id, tokens, micros)
          SELECT ${runId}, ${seq}, id, ${amount.tokens}, ${amount.micros} FROM unnest(${budgets.map((b) => b.id)}::text[]) AS id
          RETURNING budget_id
        )
        UPDATE budgets SET reserved_tokens = reserved_tokens + ${amount.tokens},
          reserved_micros = reserved_micros + ${amount.micros} FROM held WHERE budgets.id = held.budget_id`,
  );
}

/**
 * By their identifiers and nothing else: a join is looked at anew for a row that had to be waited for, and over a
 * `UNION ALL` PostgreSQL then loses the row, without a word.
 */
async function lockBudgets(transaction: Queryable, ids: readonly string[]): Promise<BudgetRow[]> {
  const budgets = await transaction.many<BudgetRow>(
    sql`SELECT ${columns} FROM budgets WHERE id = ANY(${ids}::text[]) ORDER BY id FOR UPDATE`,
  );
  if (budgets.length !== ids.length)
    throw new Error(`${ids.length} budgets were to be locked, and ${budgets.length} were`);
  return budgets;
}

/** Whether an amount fits into what is neither spent nor reserved; `spent` where waiting cannot help. */
export function judge(budget: BudgetView, amount: Amount): 'fits' | 'reserved' | 'spent' {
  const over = (limit: number | null, used: number, wanted: number) =>
    limit !== null && used + wanted > limit;
  if (
    over(budget.limitTokens, budget.spentTokens, amount.tokens) ||
    over(budget.limitMicros, budget.spentMicros, amount.micros)
  ) {
    return 'spent';
  }
  const reserved =
    over(budget.limitTokens, budget.spentTokens + budget.reservedTokens, amount.tokens) ||
    over(budget.limitMicros, budget.spentMicros + budget.reservedMicros, amount.micros);
  return reserved ? 'reserved' : 'fits';
}

/**
 * Turns a reservation into what was really used; `null` where that is not known, which settles at the
 * reservation. Settling twice changes nothing.
 */
export async function settle(
  transaction: Queryable,
  settlement: { runId: string; seq: number; used: Amount | null },
): Promise<void> {
  const rows = await transaction.many<{ budgetId: string; tokens: number; micros: number }>(
    sql`DELETE FROM reservations WHERE run_id = ${settlement.runId} AND seq = ${settlement.seq}
        RETURNING budget_id AS "budgetId", tokens, micros`,
  );
  for (const row of rows.sort((a, b) => (a.budgetId < b.budgetId ? -1 : 1))) {
    const used = settlement.used ?? { tokens: row.tokens, micros: row.micros };
    const after = await transaction.one<BudgetRow>(
      sql`UPDATE budgets SET reserved_tokens = reserved_tokens - ${row.tokens},
            reserved_micros = reserved_micros - ${row.micros},
            spent_tokens = spent_tokens + ${used.tokens}, spent_micros = spent_micros + ${used.micros}
          WHERE id = ${row.budgetId} RETURNING ${columns}`,
    );
    if (isNear(after) && !isNear(before(after, used))) {
      const explanation = explainNearness(after);
      const { scope, key, spentMicros, limitMicros, spentTokens, limitTokens } = after;
      await appendEvents(transaction, [
        {
          type: 'budget.near',
          entityType: 'budget',
          entityId: row.budgetId,
          ...(scope === 'run' ? await ofRun(transaction, settlement.runId) : {}),
          actor: 'control-plane',
          data: { scope, key, spentMicros, limitMicros, spentTokens, limitTokens, explanation },
        },
      ]);
    }
    if (used.micros > row.micros || used.tokens > row.tokens) {
      await appendEvents(transaction, [
        {
          type: 'budget.overspent',
          entityType: 'budget',
          entityId: row.budgetId,
          runId: settlement.runId,
          actor: 'control-plane',
          data: {
            reserved: { tokens: row.tokens, micros: row.micros },
            used,
            spentMicros: after.spentMicros,
          },
        },
      ]);
    }
  }
}

/** People are told when this much of a limit is spent. */
const nearShare = 0.8;

function isNear({ limitTokens, limitMicros, spentTokens, spentMicros }: BudgetView): boolean {
  const near = (limit: number | null, spent: number) => limit !== null && spent >= limit * nearShare;
  return near(limitTokens, spentTokens) || near(limitMicros, spentMicros);
}

function before(after: BudgetRow, used: Amount): BudgetRow {
  return {
    ...after,
    spentTokens: after.spentTokens - used.tokens,
    spentMicros: after.spentMicros - used.micros,
  };
}

function explainNearness({ scope, limitTokens, limitMicros, spentTokens, spentMicros }: BudgetRow): string {
  const dollars = (micros: number) => `$${(micros / 1e6).toFixed(2)}`;
  const money = limitMicros === null ? [] : [`${dollars(spentMicros)} of ${dollars(limitMicros)}`];
  const tokens = limitTokens === null ? [] : [`${spentTokens} of ${limitTokens} tokens`];
  return `The ${scopeName(scope)}'s budget: ${[...money, ...tokens].join(', ')} spent.`;
}

/** A scope in words. */
export function scopeName(scope: BudgetView['scope']): string {
  return scope === 'agent_day' ? "agent's day" : scope;
}

async function ofRun(transaction: Queryable, runId: string): Promise<{ runId: string; taskId?: string }> {
  const run = await transaction.maybe<{ taskId: string }>(
    sql`SELECT task_id AS "taskId" FROM runs WHERE id = ${runId}`,
  );
  return run === undefined ? { runId } : { runId, taskId: run.taskId };
}

/** Raises a budget so that `wanted` fits, as a person decided. */
export async function raiseBudget(transaction: Queryable, budgetId: string, wanted: Amount): Promise<void> {
  await transaction.many(
    sql`UPDATE budgets SET
          limit_tokens = CASE WHEN limit_tokens IS NULL THEN NULL
            ELSE greatest(limit_tokens * 2, spent_tokens + reserved_tokens + ${wanted.tokens}) END,
          limit_micros = CASE WHEN limit_micros IS NULL THEN NULL
            ELSE greatest(limit_micros * 2, spent_micros + reserved_micros + ${wanted.micros}) END
        WHERE id = ${budgetId}`,
  );
}
