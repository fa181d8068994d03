import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare } from './compare.ts';
import { openRecorder, type Recorder } from './record-starts.ts';

let recorder: Recorder;
beforeAll(async () => {
  recorder = await openRecorder();
});
afterAll(() => recorder[Symbol.asyncDispose]());

test('the recorder sees what bash starts', async () => {
  const started = await recorder.record([
    'p1 && p2',
    "sh -c 'p3 | env p4'",
    'echo p5',
    "git -c alias.z='!p6' z",
  ]);
  expect(started.map((names) => [...names].sort())).toEqual([
    ['p1'],
    ['env', 'p3', 'p4', 'sh'],
    [],
    ['git', 'p6', 'sh'].filter((name) => started[3]?.has(name)),
  ]);
  expect(started[3]).toContain('p6');
});

test('of 2,000 lines none starts a program that was not judged', { timeout: 240_000 }, async () => {
  const { lines, started, doubtful, missed } = await compare(recorder, { lines: 2_000, seed: 1 });
  expect(missed).toEqual([]);
  expect(lines).toBe(2_000);
  // It would be no proof if little were started, or if most of it were said to be unknown.
  expect(started).toBeGreaterThan(2_000);
  expect(doubtful).toBeLessThan(1_300);
});
