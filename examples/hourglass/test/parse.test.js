import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, total } from '../src/index.js';

test('reads one unit and several', () => {
  assert.equal(parse('90m'), 5_400_000);
  assert.equal(parse('1h 30m'), 5_400_000);
  assert.equal(parse('1d2h3m'), 93_780_000);
});

test('reads words, plurals, commas and capitals', () => {
  assert.equal(parse('2 Days, 1 hour'), 176_400_000);
  assert.equal(parse('1 week'), 604_800_000);
  assert.equal(parse('250 milliseconds'), 250);
});

test('reads fractions and signs', () => {
  assert.equal(parse('2.5h'), 9_000_000);
  assert.equal(parse('-10 min'), -600_000);
  assert.equal(parse('+1s'), 1_000);
});

test('refuses what is not a duration', () => {
  for (const text of ['', 'soon', '12', '1h and a bit', '3 fortnights', '1h 30']) {
    assert.throws(() => parse(text), RangeError, text);
  }
});

test('adds up what is written and what is counted', () => {
  assert.equal(total(['45m', '1h 20m']), 7_500_000);
  assert.equal(total(['1s', 500]), 1_500);
  assert.equal(total([]), 0);
});
