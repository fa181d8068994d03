import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, parse } from '../src/index.js';

test('shows the two largest units', () => {
  assert.equal(format(5_400_000), '1h 30m');
  assert.equal(format(93_784_000), '1d 2h');
  assert.equal(format(1_500), '1s 500ms');
});

test('leaves out what is zero', () => {
  assert.equal(format(3_600_000), '1h');
  assert.equal(format(0), '0s');
});

test('shows as many units as asked', () => {
  assert.equal(format(93_784_000, { parts: 3 }), '1d 2h 3m');
  assert.equal(format(93_784_000, { parts: 1 }), '1d');
});

test('rounds the last unit', () => {
  assert.equal(format(5_429_000), '1h 30m');
  assert.equal(format(5_431_000), '1h 31m');
});

test('spells units out', () => {
  assert.equal(format(5_400_000, { long: true }), '1 hour 30 minutes');
  assert.equal(format(0, { long: true }), '0 seconds');
});

test('keeps the sign', () => {
  assert.equal(format(-5_400_000), '-1h 30m');
});

test('writes what parse reads', () => {
  for (const text of ['1h 30m', '2d 4h', '59s', '-1w 2d']) assert.equal(format(parse(text)), text);
});
