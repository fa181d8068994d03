import fc from 'fast-check';
import { expect, test } from 'vitest';
import { highestPriceOf, type Price, priceOf } from './model.ts';
import { findListed, priceFrom, readPriceTable } from './prices.ts';

const listed = { input: 4, cachedInput: 0.4, cacheWrite: 5, output: 20 };
const long = { above: 1_000, input: 8, cachedInput: 0.8, cacheWrite: 10, output: 30 };

test('what is read from the cache and written to it has its own price', () => {
  const price = priceFrom(listed);
  expect(priceOf({ input: 1_000, cachedInput: 0, output: 0 }, price)).toBe(4_000);
  expect(priceOf({ input: 1_000, cachedInput: 600, cacheWrite: 300, output: 10 }, price)).toBe(
    100 * 4 + 240 + 1_500 + 200,
  );
});

test('a long input has another price, for all of the call', () => {
  const price = priceFrom({ ...listed, long });
  expect(priceOf({ input: 1_000, cachedInput: 0, output: 100 }, price)).toBe(6_000);
  expect(priceOf({ input: 1_001, cachedInput: 0, output: 100 }, price)).toBe(8_008 + 3_000);
});

test('where nobody says what a write costs, it is what the provider’s kind asks', () => {
  const { cacheWrite: _, ...rest } = listed;
  expect(priceFrom(rest, 'anthropic').cacheWrite).toBe(5_000_000);
  expect(priceFrom(rest, 'openai').cacheWrite).toBe(4_000_000);
});

test('what is reserved covers whatever is then used', () => {
  const tokens = fc.integer({ min: 0, max: 5_000 });
  const prices: Price[] = [priceFrom({ ...listed, long }), priceFrom(listed, 'anthropic')];
  fc.assert(
    fc.property(
      fc.constantFrom(...prices),
      tokens,
      tokens,
      tokens,
      tokens,
      (price, fresh, cached, write, output) => {
        const input = fresh + cached + write;
        const used = priceOf({ input, cachedInput: cached, cacheWrite: write, output }, price);
        const more = fc.sample(tokens, 1)[0] ?? 0;
        const highest = { input: input + more, cachedInput: 0, output: output + more };
        expect(used).toBeLessThanOrEqual(highestPriceOf(highest, price));
      },
    ),
  );
});

test('the table that comes along is whole: dated, with a price for the cache, and found by dated names', () => {
  const { models } = readPriceTable();
  const providers = new Set(Object.keys(models).map((model) => model.slice(0, model.indexOf('/'))));
  expect([...providers].sort()).toEqual(['anthropic']);
  for (const [model, price] of Object.entries(models)) {
    expect(price.cachedInput, model).toBeLessThan(price.input);
    expect(price.output, model).toBeGreaterThan(price.input);
    expect(price.cacheWrite, model).toBeCloseTo(price.input * 1.25);
  }
  expect(findListed(models, 'anthropic/claude-opus-5-20260701')).toBe(models['anthropic/claude-opus-5']);
  expect(findListed(models, 'anthropic/claude-opus-5-nano')).toBeUndefined();
});
