import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { openLog } from '../log.ts';
import { VirtualClock } from './runs-fixture.ts';
import { setTimer, type TimerKind, Timers } from './timers.ts';

let home: TestDatabase;
let clock: VirtualClock;
let fired: string[];
let failing: string | null;

beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  clock = new VirtualClock();
  fired = [];
  failing = null;
  await home.database.many(sql`DELETE FROM timers`);
});

const openTimers = () => {
  const handle = (kind: TimerKind) => async (_transaction: unknown, ref: string) => {
    if (ref === failing) throw new Error('this one fails');
    fired.push(`${kind} ${ref}`);
  };
  return new Timers({
    database: home.database,
    clock,
    log: openLog('silent'),
    handlers: {
      'ask.deadline': handle('ask.deadline'),
      'run.reminder': handle('run.reminder'),
      'agent.silence': handle('agent.silence'),
      'task.deadline': handle('task.deadline'),
      'task.reminder': handle('task.reminder'),
    },
  });
};
const set = (ref: string, inMs: number, kind: TimerKind = 'ask.deadline') =>
  setTimer(home.database, { kind, ref, dueAt: clock.now() + inMs });
async function fireAll(...timers: Timers[]): Promise<void> {
  await Promise.all(
    timers.map(async (one) => {
      while (await one.fireOne());
    }),
  );
}

test('each timer fires once, when it is due, by the given clock, whoever looks', async () => {
  await using a = openTimers();
  await using b = openTimers();
  const refs = Array.from({ length: 20 }, (_, index) => `ask_${index}`);
  for (const ref of refs) await set(ref, 8 * 3_600_000);
  await set('late', 8 * 3_600_000 + 1);
  clock.advance(8 * 3_600_000 - 1);
  await fireAll(a, b);
  expect(fired).toEqual([]);
  clock.advance(1);
  await fireAll(a, b);
  expect(fired.toSorted()).toEqual(refs.map((ref) => `ask.deadline ${ref}`).toSorted());
  clock.advance(1);
  await fireAll(a, b);
  expect(fired).toHaveLength(21);
  await fireAll(a, b);
  expect(fired).toHaveLength(21);
});

test('the earliest comes first; a later deadline of the same thing replaces the one before', async () => {
  await using timers = openTimers();
  await set('second', 2_000);
  await set('first', 1_000);
  await set('first', 1_000, 'run.reminder');
  await set('second', 9_000, 'task.reminder');
  await set('first', 3_000);
  clock.advance(2_500);
  await fireAll(timers);
  expect(fired).toEqual(['run.reminder first', 'ask.deadline second']);
  clock.advance(500);
  await fireAll(timers);
  expect(fired.at(-1)).toBe('ask.deadline first');
});

test('a timer that fails is not lost, and keeps no other waiting', async () => {
  await using timers = openTimers();
  failing = 'poison';
  await set('poison', 1_000);
  await set('healthy', 2_000);
  clock.advance(2_000);
  await fireAll(timers);
  expect(fired).toEqual(['ask.deadline healthy']);
  failing = null;
  clock.advance(60_000);
  await fireAll(timers);
  expect(fired).toEqual(['ask.deadline healthy', 'ask.deadline poison']);
});
