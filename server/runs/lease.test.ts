import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { LeaseLost } from '../errors.ts';
import { Journal } from './journal.ts';
import { type ClaimedRun, claimRuns, endRun, holdLease, parkRun, releaseRun, wakeRun } from './lease.ts';
import { eventTypesOf, readRun, seedRun, waitingOn } from './runs-fixture.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 16 });
});
afterAll(() => home[Symbol.asyncDispose]());

const claim = (workerId: string, limit = 100, now = Date.now() + 1_000) =>
  claimRuns(home.database, { workerId, limit, leaseSeconds: 15, now });

/** Claims the run and nothing else. */
async function hold(runId: string, workerId = 'wrk_a'): Promise<ClaimedRun> {
  const run = (await claim(workerId)).find((claimed) => claimed.runId === runId);
  if (run === undefined) throw new Error(`${runId} was not due`);
  return run;
}
const wake = (runId: string) =>
  home.database.transaction('test.wake', (transaction) =>
    wakeRun(transaction, { runId, actor: 'olga', now: Date.now(), reason: 'a test' }),
  );
const park = (run: ClaimedRun, seenWakeCount: number, status: 'waiting' | 'paused' = 'waiting') =>
  parkRun(home.database, run, { waiting: waitingOn('ask'), wakeAt: null, status, seenWakeCount });
const end = (run: ClaimedRun) => endRun(home.database, run, { status: 'succeeded', outcome: 'done' });
const isDue = (row: { wakeAt: string | null; workerId: string | null }) =>
  row.workerId === null && row.wakeAt !== null;

describe('claiming', () => {
  test('each due run goes to one of several workers, and only what is due and fits', async () => {
    const now = Date.now();
    const due = await Promise.all(Array.from({ length: 12 }, () => seedRun(home.database, { now })));
    const later = await seedRun(home.database, { now: now + 60_000 });
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, worker) => claim(`wrk_${worker}`, 3, now)),
    );
    for (const batch of claims) expect(batch.length).toBeLessThanOrEqual(3);
    const rest = await claim('wrk_rest', 100, now);
    const claimed = [...claims.flat(), ...rest].map((run) => run.runId);
    expect(claimed.toSorted()).toEqual(due.map((run) => run.runId).toSorted());
    for (const run of claims.flat()) {
      expect(await readRun(home.database, run.runId)).toMatchObject({
        workerId: run.workerId,
        token: 1,
        status: 'running',
      });
    }
    expect(isDue(await readRun(home.database, later.runId))).toBe(true);
    for (const run of [...claims.flat(), ...rest]) await end(run);
    for (const run of await claim('wrk_rest', 100, now + 60_000)) await end(run);
  });

  test('the token rises with every claim, and the one before it is worth nothing', async () => {
    const { runId } = await seedRun(home.database);
    const first = await hold(runId);
    await releaseRun(home.database, first, {
      wakeAt: Date.now(),
      waiting: waitingOn('queue'),
      failed: false,
      cause: 'test',
    });
    const second = await hold(runId);
    expect(second.token).toBe(first.token + 1);
    await expect(holdLease(home.database, first)).rejects.toThrow(LeaseLost);
    await expect(Journal.open(home.database, first)).rejects.toThrow(LeaseLost);
    await expect(park(first, 0)).rejects.toThrow(LeaseLost);
    await expect(end(first)).rejects.toThrow(LeaseLost);
    await releaseRun(home.database, first, {
      wakeAt: Date.now(),
      waiting: waitingOn('queue'),
      failed: true,
      cause: 'test',
    });
    expect(await readRun(home.database, runId)).toMatchObject({
      workerId: 'wrk_a',
      token: second.token,
      failures: 0,
    });
    await end(second);
  });
});

describe('a wake is not lost', () => {
  test('before the worker looked, between its look and its parking, and after it parked', async () => {
    for (const moment of ['before', 'between', 'after'] as const) {
      const { runId } = await seedRun(home.database);
      const run = await hold(runId);
      if (moment === 'before') await wake(runId);
      const journal = await Journal.open(home.database, run);
      if (moment === 'between') await wake(runId);
      const parked = await park(run, journal.state.wakeCount);
      if (moment === 'after') await wake(runId);
      expect([moment, parked]).toEqual([moment, moment !== 'between']);
      // Seen before it looked: what it waits for was looked at later, so resting is right.
      const row = await readRun(home.database, runId);
      expect([moment, isDue(row)]).toEqual([moment, moment === 'after']);
      if (moment === 'between') expect(row.workerId).toBe('wrk_a');
      if (moment === 'before') await wake(runId);
      await end(moment === 'between' ? run : await hold(runId));
    }
  });

  test('whatever races: a run is never parked over a wake that its worker had not seen', async () => {
    const { runId } = await seedRun(home.database);
    let run = await hold(runId);
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.nat(4), fc.nat(4), async (wakes, parkDelay, wakeDelay) => {
        const pause = async (trips: number) => {
          for (let trip = 0; trip < trips; trip++) await home.database.one(sql`SELECT 1 AS one`);
        };
        const { state } = await Journal.open(home.database, run);
        const [parked] = await Promise.all([
          pause(parkDelay).then(() => park(run, state.wakeCount)),
          ...Array.from({ length: wakes }, (_, index) => pause(wakeDelay + index).then(() => wake(runId))),
        ]);
        const row = await readRun(home.database, runId);
        expect(row.wakeCount).toBe(state.wakeCount + wakes);
        if (!parked) expect(row).toMatchObject({ workerId: run.workerId, status: 'running' });
        else expect(isDue(row)).toBe(wakes > 0);
        if (parked) {
          if (wakes === 0) await wake(runId);
          run = await hold(runId);
        }
      }),
      { numRuns: 120 },
    );
    await end(run);
  });

  test('of a held, a queued and an ended run', async () => {
    const { runId } = await seedRun(home.database, { now: Date.now() + 3_600_000 });
    await wake(runId);
    const run = await hold(runId);
    await wake(runId);
    expect(await readRun(home.database, runId)).toMatchObject({
      wakeAt: null,
      wakeCount: 2,
      workerId: 'wrk_a',
    });
    await end(run);
    await wake(runId);
    expect(await readRun(home.database, runId)).toMatchObject({
      status: 'succeeded',
      wakeAt: null,
      wakeCount: 2,
    });
    expect((await eventTypesOf(home.database, runId)).filter((type) => type === 'run.woken')).toHaveLength(2);
  });

  test('a pause that was taken back does not park the run as paused', async () => {
    const { runId } = await seedRun(home.database);
    const run = await hold(runId);
    expect(await park(run, 0, 'paused')).toBe(false);
    await home.database.many(sql`UPDATE runs SET control = 'pause' WHERE id = ${runId}`);
    expect(await park(run, 0, 'paused')).toBe(true);
    expect(await readRun(home.database, runId)).toMatchObject({ status: 'paused', workerId: null });
    expect((await eventTypesOf(home.database, runId)).at(-1)).toBe('run.paused');
  });
});

test('a run ends once, with what else becomes true at that moment', async () => {
  const { runId } = await seedRun(home.database);
  const run = await hold(runId);
  const settle = async () => {
    throw new Error('not now');
  };
  await expect(endRun(home.database, run, { status: 'failed', outcome: 'x', settle })).rejects.toThrow(
    'not now',
  );
  expect(await readRun(home.database, runId)).toMatchObject({ status: 'running' });
  await end(run);
  await expect(end(run)).rejects.toThrow(LeaseLost);
  expect(await readRun(home.database, runId)).toMatchObject({ status: 'succeeded', outcome: 'done' });
});
