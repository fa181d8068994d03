import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../server/database/test-database.ts';
import { openLog } from '../../server/log.ts';
import { VirtualClock } from '../../server/runs/runs-fixture.ts';
import { setTimer, Timers } from '../../server/runs/timers.ts';

const hour = 3_600_000;
let home: TestDatabase;
let clock: VirtualClock;
let fired: string[];
beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  clock = new VirtualClock();
  fired = [];
  await home.database.many(sql`DELETE FROM timers`);
});

const note = async (_transaction: unknown, ref: string) => void fired.push(ref);
const open = () =>
  new Timers({
    database: home.database,
    clock,
    log: openLog('silent'),
    handlers: {
      'ask.deadline': note,
      'run.reminder': note,
      'task.reminder': note,
      'agent.silence': note,
      'task.deadline': note,
    },
  });
const set = (ref: string, hours: number) =>
  setTimer(home.database, { kind: 'ask.deadline', ref, dueAt: clock.now() + hours * hour });
const fireAll = async (timers: Timers) => {
  while (await timers.fireOne());
};

test('what fell due in a night of sleep fires once, the earliest first', async () => {
  await set('later', 8);
  await set('early', 1);
  await set('tomorrow', 20);
  clock.advance(9 * hour);
  await using timers = open();
  await fireAll(timers);
  await fireAll(timers);
  expect(fired).toEqual(['early', 'later']);
});

test('a clock that jumps forward fires what its new time has passed, once; back again, nothing twice', async () => {
  await using timers = open();
  await set('soon', 0.5);
  await set('late', 2);
  clock.wall += hour;
  await fireAll(timers);
  expect(fired).toEqual(['soon']);
  clock.wall -= hour;
  clock.advance(0.6 * hour);
  await fireAll(timers);
  expect(fired).toEqual(['soon']);
  clock.advance(1.5 * hour);
  await fireAll(timers);
  expect(fired).toEqual(['soon', 'late']);
});

test('a clock that jumps back fires nothing early, and at the set time still', async () => {
  await using timers = open();
  await set('soon', 0.5);
  clock.wall -= hour;
  clock.advance(1.4 * hour);
  await fireAll(timers);
  expect(fired).toEqual([]);
  clock.advance(0.2 * hour);
  await fireAll(timers);
  expect(fired).toEqual(['soon']);
});
