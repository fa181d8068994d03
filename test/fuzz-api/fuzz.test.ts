import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';
import { openPopulatedHouse } from './populated-house.ts';

test('2,000 requests made from the schemas, fitting and hostile, find no fault of the server', async () => {
  const { house, target } = await openPopulatedHouse();
  await using _ = house;
  const report = await fuzz(target, { requests: 2_000, seed: 20_260 });
  expect(report.failures.slice(0, 5)).toEqual([]);
  expect(report.requests).toBe(2_000);
  // A fuzzer that is only ever refused at the door proves nothing.
  expect(report.succeeded / report.operations).toBeGreaterThan(0.4);
  expect(Object.keys(report.byStatus)).toEqual(expect.arrayContaining(['200', '201', '400', '404', '415']));
}, 120_000);
