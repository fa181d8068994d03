import type { PutPriceBody } from '../../../contract/models.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { requireOperator } from './change-providers.ts';

export interface SaidPrice {
  input: number;
  cachedInput: number;
  cacheWrite?: number;
  output: number;
  contextTokens?: number;
  maxOutputTokens?: number;
  asOf: string;
}

interface PriceRow extends Omit<SaidPrice, 'cacheWrite' | 'contextTokens' | 'maxOutputTokens'> {
  model: string;
  cacheWrite: number | null;
  contextTokens: number | null;
  maxOutputTokens: number | null;
}

/** What people said that models cost, in US dollars for a million tokens; the newest word for each. */
export async function readPrices(database: Queryable): Promise<Record<string, SaidPrice>> {
  const rows = await database.many<PriceRow>(
    sql`SELECT DISTINCT ON (model) model, to_char(as_of, 'YYYY-MM-DD') AS "asOf", input,
          cached_input AS "cachedInput", cache_write AS "cacheWrite", output,
          context_tokens AS "contextTokens", max_output_tokens AS "maxOutputTokens"
        FROM model_prices ORDER BY model, id DESC`,
  );
  return Object.fromEntries(
    rows.map(({ model, cacheWrite, contextTokens, maxOutputTokens, ...price }) => [
      model,
      {
        ...price,
        ...(cacheWrite !== null && { cacheWrite }),
        ...(contextTokens !== null && { contextTokens }),
        ...(maxOutputTokens !== null && { maxOutputTokens }),
      },
    ]),
  );
}

/** Says what a model costs from now on; what was spent before keeps its price. @throws AppError forbidden */
export async function putPrice(
  database: Database,
  actor: Actor,
  model: string,
  price: PutPriceBody,
): Promise<void> {
  requireOperator(actor, 'set prices');
  const { input, output, cachedInput = input, cacheWrite, asOf, contextTokens, maxOutputTokens } = price;
  await database.transaction('prices.put', async (transaction) => {
    await transaction.many(
      sql`INSERT INTO model_prices
            (model, as_of, input, cached_input, cache_write, output, context_tokens, max_output_tokens, set_by)
          VALUES (${model}, coalesce(${asOf ?? null}::date, (now() AT TIME ZONE 'UTC')::date), ${input}, ${cachedInput},
            ${cacheWrite ?? null}, ${output}, ${contextTokens ?? null}, ${maxOutputTokens ?? null}, ${actor.name})`,
    );
    await appendEvents(transaction, [
      {
        type: 'model.priced',
        entityType: 'model',
        entityId: model,
        actor: actor.name,
        data: { input, cachedInput, cacheWrite: cacheWrite ?? null, output },
      },
    ]);
  });
}
