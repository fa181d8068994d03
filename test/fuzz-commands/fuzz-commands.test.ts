import { afterAll, beforeAll, expect, test } from 'vitest';
import { compare, findMissed } from './compare.ts';
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

test.each([
  // Brackets that do not pair: bash reads commands where a grammar sees arithmetic.
  `: $(( $(p6) ? $(p16 $(case x in x) p4 <<E\nx\nE\n;; esac)) : 0 ))`,
  // What the shell puts in the place of one word moves the words after it.
  `dash -c '$2' p10 $(echo p1 p2)`,
  `x='1 p9'; env A=$x p1`,
  `x='5 p9'; timeout $x p1`,
  `echo '-x p9' | xargs fd`,
])('%s: what it starts is named, or said to be unknown', async (line) => {
  const [started = new Set()] = await recorder.record([line]);
  expect(findMissed(line, started)).toEqual([]);
});

test('of 2,000 lines none starts a program that was not judged', { timeout: 400_000 }, async () => {
  const { lines, started, doubtful, missed } = await compare(recorder, { lines: 2_000, seed: 1 });
  expect(missed).toEqual([]);
  expect(lines).toBe(2_000);
  // It would be no proof if little were started, or if most of it were said to be unknown.
  expect(started).toBeGreaterThan(2_000);
  expect(doubtful).toBeLessThan(1_300);
});
