import { expect, test } from 'vitest';
import { currentTrace, inTrace, nextPlace, readTraceparent, writeTraceparent } from './trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

test('a traceparent is read and written as it was', () => {
  for (const flags of ['00', '01']) {
    const header = `00-${traceId}-${spanId}-${flags}`;
    const context = readTraceparent(header);
    expect(context).toEqual({ traceId, spanId, sampled: flags === '01' });
    expect(context === null ? '' : writeTraceparent(context)).toBe(header);
  }
});

test('a version to come is read, and what is no traceparent begins a trace', () => {
  expect(readTraceparent(`cc-${traceId}-${spanId}-01-what-the-future-will-be-like`)?.traceId).toBe(traceId);
  for (const wrong of [
    undefined,
    '',
    ['a'],
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
  ])
    expect(readTraceparent(wrong)).toBeNull();
});

test('the next place is in the same trace, with the decision of who began it', () => {
  const next = nextPlace({ traceId, spanId, sampled: false });
  expect(next).toMatchObject({ traceId, sampled: false });
  expect(next.spanId).not.toBe(spanId);
  expect(nextPlace(null).traceId).not.toBe(nextPlace(null).traceId);
});

test('work stands at its place through every wait, and nothing else does', async () => {
  const here = nextPlace(null);
  const seen = inTrace(here, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return currentTrace();
  });
  expect(currentTrace()).toBeUndefined();
  expect(await seen).toBe(here);
});
