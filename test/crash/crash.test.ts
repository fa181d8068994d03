import { expect, test } from 'vitest';
import { crashAtAll, enumerate } from './enumerate.ts';
import { nameOf, samplePoints } from './sample.ts';

test('killed at any of a sample of points, a run ends as it does without the fault', {
  timeout: 600_000,
}, async () => {
  const { points, outcome } = await enumerate();
  const names = new Set(points.map(nameOf));
  for (const name of acts) expect(names, name).toContain(`${name}:before`);

  const results = await crashAtAll(samplePoints(points), outcome, {
    store: 'given',
    sideBySide: 3,
    tell: () => undefined,
  });
  expect(results.length).toBeGreaterThanOrEqual(14);
  expect(results.filter(({ problems }) => problems.length > 0)).toEqual([]);
  const own = points.filter((point) => /^(commit:steps.complete|tool:run_command):after#2$/.test(point));
  const withOwn = await crashAtAll(own, outcome, { store: 'embedded', sideBySide: 2, tell: () => undefined });
  expect(withOwn.map(({ reached, problems }) => ({ reached, problems }))).toEqual([
    { reached: true, problems: [] },
    { reached: true, problems: [] },
  ]);
  // Points of timers and polls may not come again; those of the run's own acts do.
  expect(results.filter(({ reached }) => reached).length).toBeGreaterThanOrEqual(12);
});

/** That the enumeration sees every kind of act; not a list to be complete. */
const acts = [
  'commit:migrate.0001_foundation',
  'commit:workers.heartbeat',
  'commit:events.number',
  'commit:timers.fire',
  'commit:steps.intend',
  'commit:steps.complete',
  'commit:steps.record',
  'commit:runs.claim',
  'commit:runs.park',
  'commit:runs.end',
  'commit:asks.decide',
  'commit:changes.merge',
  'model',
  'tool:run_command',
  'tool:git_commit',
  'spawn',
];
