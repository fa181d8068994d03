import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findSurprises, floors, median, type Past, type Present } from './ordinary.ts';

const rule = { learningRuns: 3, factor: 5 };
const past: Past = {
  runs: 5,
  tools: new Set(['read_file', 'run_command']),
  hosts: new Set(['registry.npmjs.org']),
  spentMicros: [400_000, 500_000, 600_000, 500_000, 40_000_000],
  errors: [0, 1, 8, 4, 2],
};
const calm: Present = { tool: 'read_file', host: null, spentMicros: 100_000, errors: 1 };
const kindsOf = (present: Partial<Present>, of: Partial<Past> = {}) =>
  findSurprises({ ...past, ...of }, { ...calm, ...present }, rule).map(({ kind, subject }) => [
    kind,
    subject,
  ]);

test('what an agent always does is no surprise', () => {
  expect(kindsOf({})).toEqual([]);
  expect(kindsOf({ host: 'registry.npmjs.org', spentMicros: 2_400_000 })).toEqual([]);
});

test('a tool or host never used, spend and errors beyond the past are surprises, each with its reason', () => {
  expect(kindsOf({ tool: 'git_push' })).toEqual([['tool', 'git_push']]);
  expect(kindsOf({ host: 'evil.example' })).toEqual([['host', 'evil.example']]);
  // One run of $40 does not move the median of $0.50.
  expect(kindsOf({ spentMicros: 2_500_001 })).toEqual([['spend', 'above $2.50']]);
  expect(kindsOf({ errors: 16 })).toEqual([['errors', 'above 15']]);
  const [surprise] = findSurprises(past, { ...calm, spentMicros: 3e6 }, rule);
  expect(surprise?.reason).toContain('spent $3.00');
  expect(surprise?.reason).toContain('last 5 runs is $0.50');
});

test('above its bound each doubling is one surprise', () => {
  const subjects = [2.6, 4.9, 5.1, 9.9, 10.1].map((usd) => kindsOf({ spentMicros: usd * 1e6 })[0]?.[1]);
  expect(subjects).toEqual(['above $2.50', 'above $2.50', 'above $5.00', 'above $5.00', 'above $10.00']);
});

test('a new agent is only learnt from', () => {
  const wild = { tool: 'anything', host: 'anywhere', spentMicros: 1e9, errors: 1_000 };
  expect(kindsOf(wild, { runs: 2 })).toEqual([]);
  expect(kindsOf(wild, { runs: 3 })).toHaveLength(4);
});

test('never below the floors, and never for less than before', () => {
  const amount = fc.integer({ min: 0, max: 100_000_000 });
  fc.assert(
    fc.property(fc.array(amount, { maxLength: 9 }), amount, amount, (spentMicros, one, more) => {
      const surprised = (spent: number) => kindsOf({ spentMicros: spent }, { spentMicros }).length > 0;
      if (one <= floors.spentMicros) expect(surprised(one)).toBe(false);
      if (surprised(one)) expect(surprised(one + more)).toBe(true);
      expect(surprised(Math.round(median(spentMicros)))).toBe(false);
    }),
  );
});
