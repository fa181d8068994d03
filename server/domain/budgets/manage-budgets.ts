import type { BudgetRecord, SetBudgetBody } from '../../../contract/budgets.ts';
import type { BudgetScope } from '../../../contract/runs.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { wakeRun } from '../../runs/lease.ts';
import type { Actor } from '../actor.ts';
import { readToday } from './budgets.ts';
import { ensureBudget } from './scopes.ts';

const columns = sql`budgets.id, budgets.scope, budgets.scope_key AS key, coalesce(tasks.title, projects.name, agents.name, budgets.scope_key) AS name,
  limit_tokens AS "limitTokens", limit_micros AS "limitMicros", spent_tokens AS "spentTokens", spent_micros AS "spentMicros",
  reserved_tokens AS "reservedTokens", reserved_micros AS "reservedMicros"`;
const tables = sql`budgets
  LEFT JOIN runs ON budgets.scope = 'run' AND runs.id = scope_key
  LEFT JOIN tasks ON (budgets.scope = 'task' AND tasks.id = scope_key) OR tasks.id = runs.task_id
  LEFT JOIN projects ON budgets.scope = 'project' AND projects.id = scope_key
  LEFT JOIN agents ON budgets.scope IN ('agent', 'agent_day') AND agents.id = split_part(scope_key, '/', 1)`;

const most = 1_000;

/** Budgets with what they have left; those of projects that the actor does not see are left out. */
export async function listBudgets(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  filter: { scope?: BudgetScope | undefined; limited: boolean },
): Promise<BudgetRecord[]> {
  const ofProject = sql`coalesce(tasks.project_id, projects.id)`;
  return database.many<BudgetRecord>(
    sql`SELECT ${columns} FROM ${tables} WHERE true
        ${filter.scope === undefined ? empty : sql`AND budgets.scope = ${filter.scope}`}
        ${filter.limited ? sql`AND (limit_tokens IS NOT NULL OR limit_micros IS NOT NULL)` : empty}
        ${actor.projects === null ? empty : sql`AND ${ofProject} = ANY(${[...actor.projects]}::text[])`}
        ORDER BY budgets.id DESC LIMIT ${most}`,
  );
}

/**
 * Sets what a run, task, agent, project or day may spend. What was spent before counts. Runs that wait for money
 * are woken, so that they look again.
 * @throws AppError not_found where there is nothing of that name
 */
export async function setBudget(
  context: { database: Database; now: () => number },
  actor: Actor,
  place: { scope: BudgetScope; key: string },
  body: SetBudgetBody,
): Promise<BudgetRecord> {
  return context.database.transaction('budgets.set', async (transaction) => {
    const { scope } = place;
    const key = await findKey(transaction, place);
    // Runs before budgets, as every call locks them.
    await wakeWaiting(transaction, actor, context.now());
    await ensureBudget(transaction, { scope, key, limitTokens: null, limitMicros: null });
    const { id } = await transaction.one<{ id: string }>(
      sql`UPDATE budgets SET
            limit_micros = ${body.usd === undefined ? sql`limit_micros` : sql`${micros(body.usd)}::bigint`},
            limit_tokens = ${body.tokens === undefined ? sql`limit_tokens` : sql`${body.tokens}::bigint`}
          WHERE scope = ${scope} AND scope_key = ${key} RETURNING id`,
    );
    const budget = await transaction.one<BudgetRecord>(
      sql`SELECT ${columns} FROM ${tables} WHERE budgets.id = ${id}`,
    );
    const { limitMicros, limitTokens } = budget;
    await appendEvents(transaction, [
      {
        type: limitMicros === null && limitTokens === null ? 'budget.removed' : 'budget.changed',
        entityType: 'budget',
        entityId: id,
        actor: actor.name,
        data: { scope, key, name: budget.name, limitMicros, limitTokens },
      },
    ]);
    return budget;
  });
}

/** Takes a budget's limits away; what is spent is still counted. @throws AppError not_found */
export async function removeBudget(
  context: { database: Database; now: () => number },
  actor: Actor,
  place: { scope: BudgetScope; key: string },
): Promise<BudgetRecord> {
  return setBudget(context, actor, place, { usd: null, tokens: null });
}

function micros(usd: number | null): number | null {
  return usd === null ? null : Math.round(usd * 1e6);
}

async function wakeWaiting(transaction: Transaction, actor: Actor, now: number): Promise<void> {
  const runs = await transaction.many<{ id: string }>(
    sql`SELECT id FROM runs WHERE status = 'waiting' AND ended_at IS NULL AND waiting ->> 'on' = 'budget' ORDER BY id`,
  );
  for (const { id } of runs)
    await wakeRun(transaction, { runId: id, actor: actor.name, now, reason: 'a budget was changed' });
}

/** The key as budgets are stored by it. */
async function findKey(
  database: Queryable,
  { scope, key }: { scope: BudgetScope; key: string },
): Promise<string> {
  if (scope === 'day') return findDay(database, key);
  if (scope === 'agent_day') {
    const [agent = '', day = 'today'] = key.split('/');
    return `${await findKey(database, { scope: 'agent', key: agent })}/${await findDay(database, day)}`;
  }
  const query = {
    run: sql`SELECT id FROM runs WHERE id = ${key}`,
    task: sql`SELECT id FROM tasks WHERE id = ${key}`,
    agent: sql`SELECT id FROM agents WHERE id = ${key} OR name = ${key}`,
    project: sql`SELECT id FROM projects WHERE id = ${key} OR name = ${key} OR location = ${key}`,
  }[scope];
  const found = await database.many<{ id: string }>(query);
  const [only] = found;
  if (only === undefined)
    throw new AppError(
      'not_found',
      `there is no ${scope} ${key}; \`mission budget list --all\` shows what there is`,
    );
  if (found.length > 1)
    throw new AppError('conflict', `${found.length} ${scope}s are called ${key}; give the id of one`);
  return only.id;
}

async function findDay(database: Queryable, key: string): Promise<string> {
  if (key === 'today') return readToday(database);
  if (/^\d{4}-\d{2}-\d{2}$/.test(key) && !Number.isNaN(Date.parse(key))) return key;
  throw new AppError('not_found', `${key} is no day; give one as 2026-01-31, or today`);
}
