import { expect, test } from 'vitest';
import { TokenBuckets } from './token-buckets.ts';

test('a burst at once, then as fast as it refills, each name for itself', () => {
  let now = 0;
  const buckets = new TokenBuckets({ perSecond: 2, burst: 3, now: () => now });
  expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 1]);
  expect(buckets.take('b')).toBe(0);
  now += 499;
  expect(buckets.wait('a')).toBe(1);
  now += 1;
  expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 1]);
  now += 3_600_000;
  expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 1]);
});

test('the wait of a slow bucket is told in whole seconds', () => {
  const buckets = new TokenBuckets({ perSecond: 0.1, burst: 1, now: () => 0 });
  expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 10]);
});

test('many names do not take memory without end', () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1, now: () => 0 });
  for (let index = 0; index < 50_000; index++) buckets.take(`n${index}`);
  expect(buckets.take('n49999')).toBe(1);
});
