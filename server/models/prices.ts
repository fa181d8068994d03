import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type ListedPrice, listedPrice } from '../../contract/models.ts';
import { AppError } from '../errors.ts';
import type { Price, Rates } from './model.ts';

/** What a person writes of a model: its price, and its limits where they are known. */
const listedModel = listedPrice.extend({
  /** What a call costs whose input has more than `above` tokens. */
  long: listedPrice.extend({ above: z.number().int().positive() }).optional(),
  contextTokens: z.number().int().positive().default(200_000),
  maxOutputTokens: z.number().int().positive().default(32_000),
  /** Takes images; by default all do but those of OpenAI-compatible providers. */
  images: z.boolean().optional(),
  /** The day the price was looked up. */
  asOf: z.iso.date().optional(),
  /** Given to the provider with every call, such as `{"thinking":{"type":"adaptive"}}`. */
  options: z.record(z.string(), z.json()).optional(),
  note: z.string().optional(),
});
export type ListedModel = z.infer<typeof listedModel>;

const priceTable = z.strictObject({
  about: z.string().optional(),
  /** The day the prices were looked up. */
  asOf: z.iso.date(),
  /** By `provider/name`. */
  models: z.record(z.string(), listedModel),
});
export type PriceTable = z.infer<typeof priceTable>;

/**
 * Reads a price table; the one that comes with the product by default.
 * @throws AppError `unprocessable` naming the file and the field
 */
export function readPriceTable(file: string | URL = new URL('prices.json', import.meta.url)): PriceTable {
  try {
    return priceTable.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if (error instanceof z.ZodError) {
      throw new AppError('unprocessable', `The price table ${file} is not valid: ${z.prettifyError(error)}`);
    }
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) {
      throw new AppError('unprocessable', `The price table ${file} cannot be read: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * The table with the models of `mission.config.json` in the place of its own.
 * @throws AppError `invalid_request` naming the field
 */
export function addOwnModels(table: PriceTable, own: Record<string, unknown>): PriceTable {
  const parsed = z.record(z.string(), listedModel).safeParse(own);
  if (parsed.success) return { ...table, models: { ...table.models, ...parsed.data } };
  throw new AppError('invalid_request', `mission.config.json, "models": ${z.prettifyError(parsed.error)}`);
}

/** What writing to the cache costs where nobody says it: Anthropic asks a quarter more, the others nothing. */
const cacheWriteSurcharge = { anthropic: 1.25, other: 1 };

/** In millionths of a dollar, rounded up. */
export function priceFrom(listed: ListedPrice & { long?: ListedModel['long'] }, kind?: string): Price {
  const price = ratesFrom(listed, kind);
  return listed.long === undefined
    ? price
    : { ...price, long: { ...ratesFrom(listed.long, kind), above: listed.long.above } };
}

function ratesFrom({ input, cachedInput, cacheWrite, output }: ListedPrice, kind?: string): Rates {
  const surcharge = kind === 'anthropic' ? cacheWriteSurcharge.anthropic : cacheWriteSurcharge.other;
  return {
    input: micros(input),
    cachedInput: micros(cachedInput),
    cacheWrite: micros(cacheWrite ?? input * surcharge),
    output: micros(output),
  };
}

function micros(amount: number): number {
  return Math.ceil(Number((amount * 1e6).toFixed(3)));
}

/** The price of a model in dollars for people to read; a dated name costs what its model costs. */
export function findListed(
  models: Readonly<Record<string, ListedModel>>,
  model: string,
): ListedModel | undefined {
  return models[model] ?? models[model.replace(/-(\d{8}|\d{4}-\d\d-\d\d)$/, '')];
}
