import { expect, test } from 'vitest';
import { duration, money, tokens, until } from './format.ts';
import { wrap } from './text-flow.ts';

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [59_949, '59.9 s'],
  [59_960, '1 min 0 s'],
  [3_569_999, '59 min 30 s'],
  [3_599_999, '1 h 0 min'],
  [7_185_000, '2 h 0 min'],
  [200_000_000, '2 days'],
])('%d ms is %s', (milliseconds, words) => expect(duration(milliseconds)).toBe(words));

test('money and tokens', () => {
  expect(money(0)).toBe('$0.00');
  expect(money(1_234)).toBe('$0.0012');
  expect(money(12_345_678)).toBe('$12.35');
  expect(tokens(999)).toBe('999 tokens');
  expect(tokens(999_949)).toBe('999.9k tokens');
  expect(tokens(999_960)).toBe('1.00M tokens');
});

test('a deadline says how long is left', () => {
  const now = new Date(2026, 0, 5, 9, 0);
  expect(until(new Date(2026, 0, 5, 9, 12).toISOString(), now)).toBe('until 09:12 (in 12 min 0 s)');
  expect(until(new Date(2026, 0, 6, 9, 0).toISOString(), now)).toBe('until 2026-01-06 09:00 (in 24 h 0 min)');
  expect(until(new Date(2026, 0, 5, 8, 59).toISOString(), now)).toBe('until 08:59 (1 min 0 s ago)');
});

test('text is wrapped at words, keeps its lines and indentation, and has no blank ends', () => {
  expect(wrap('\n\none two three four\n\n  - item\nlast\n\n', 12, '  ')).toEqual([
    '  one two',
    '  three four',
    '',
    '    - item',
    '  last',
  ]);
  expect(wrap('averyveryverylongword x', 8, '')).toEqual(['averyveryverylongword', 'x']);
  expect(wrap('', 10, '')).toEqual([]);
});
