import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Price } from './model.ts';

const dollars = z.number().nonnegative().max(1_000_000);

/** US dollars for a million tokens, as providers publish them. */
export const listedPrice = z.strictObject({ input: dollars, cachedInput: dollars, output: dollars });
export type ListedPrice = z.infer<typeof listedPrice>;

/** What a person writes of a model: its price, and its limits where they are known. */
export const listedModel = listedPrice.extend({
  contextTokens: z.number().int().positive().default(200_000),
  maxOutputTokens: z.number().int().positive().default(32_000),
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

/** In millionths of a dollar, rounded up. */
export function priceFrom({ input, cachedInput, output }: ListedPrice): Price {
  return { input: micros(input), cachedInput: micros(cachedInput), output: micros(output) };
}

function micros(amount: number): number {
  return Math.ceil(Number((amount * 1e6).toFixed(3)));
}
