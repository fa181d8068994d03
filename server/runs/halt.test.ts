import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { releaseEverything, stopEverything } from '../domain/halt/halt.ts';
import { beginHalt, endHalt, pauseForHalt, readHalt } from './halt.ts';
import { claimRuns, parkRun, releaseRun, wakeRun } from './lease.ts';
import { eventTypesOf, operator, readRun, seedRun, waitingOn } from './runs-fixture.ts';

let home: TestDatabase;
let database: Database;
const now = () => Date.now();

beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 8 });
  database = home.database;
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.many(sql`DELETE FROM halt`);
  await database.many(sql`UPDATE runs SET wake_at = NULL WHERE worker_id IS NULL`);
});

const claim = () =>
  claimRuns(database, { workerId: 'wrk_a', limit: 10, leaseSeconds: 15, now: now() + 1_000 });
const stopAll = () => stopEverything({ database, now }, operator, 'fire');
const releaseAll = () => releaseEverything({ database, now }, operator);

/** A run in another state than the one it began in. */
async function seedAs(status: 'waiting' | 'paused') {
  const { runId } = await seedRun(database);
  const [run] = await claim();
  if (run === undefined) throw new Error('nothing was claimed');
  if (status === 'paused') await database.many(sql`UPDATE runs SET control = 'pause' WHERE id = ${runId}`);
  const park = {
    waiting: waitingOn(status === 'paused' ? 'pause' : 'ask'),
    wakeAt: null,
    status,
    seenWakeCount: 0,
  };
  await parkRun(database, run, park);
  return runId;
}

test('every run is afterwards what it was before; what a person paused is never touched', async () => {
  const waits = await seedAs('waiting');
  const paused = await seedAs('paused');
  const { runId: queued } = await seedRun(database);
  const ids = [waits, paused, queued];
  const before = await Promise.all(ids.map((id) => readRun(database, id)));
  expect(await stopAll()).toMatchObject({ by: 'olga', reason: 'fire' });
  expect(await stopEverything({ database, now }, operator, 'again')).toMatchObject({ reason: 'fire' });
  const during = await Promise.all(ids.map((id) => readRun(database, id)));
  expect(during.map(({ status }) => status)).toEqual(['paused', 'paused', 'paused']);
  expect(during[0]?.waiting).toMatchObject({
    ref: 'halt',
    owner: 'olga',
    reason: 'olga stopped everything: fire',
  });
  expect(during[1]).toEqual(before[1]);
  expect(await claim()).toEqual([]);
  await releaseAll();
  expect(await Promise.all(ids.map((id) => readRun(database, id)))).toEqual(before);
  expect(await eventTypesOf(database, waits)).toEqual([
    ...['run.queued', 'run.claimed', 'run.waiting', 'run.paused', 'run.released'],
  ]);
  expect((await claim()).map(({ runId }) => runId)).toEqual([queued]);
});

test('what is woken, queued or given back meanwhile waits for the release too, and then goes on', async () => {
  const waits = await seedAs('waiting');
  const { runId: held } = await seedRun(database);
  const [lease] = await claim();
  if (lease === undefined) throw new Error('nothing was claimed');
  await stopAll();
  expect((await readRun(database, held)).status).toBe('running');
  await releaseRun(database, lease, {
    wakeAt: now(),
    waiting: waitingOn('queue'),
    failed: false,
    cause: 'stopped',
  });
  await pauseForHalt(database, now());
  const { runId: late } = await seedRun(database);
  await wakeRun(database, { runId: waits, actor: 'olga', now: now(), reason: 'a test' });
  for (const id of [held, late, waits])
    expect(await readRun(database, id)).toMatchObject({ status: 'paused' });
  expect(await claim()).toEqual([]);
  await releaseAll();
  expect((await claim()).map(({ runId }) => runId).sort()).toEqual([held, late, waits].sort());
});

test('a pause that races with the release leaves no run paused behind it', async () => {
  const { runId } = await seedRun(database);
  await stopAll();
  await database.many(sql`UPDATE runs SET status = 'queued', before_halt = NULL WHERE id = ${runId}`);
  const gone = Promise.withResolvers<void>();
  const deleted = Promise.withResolvers<void>();
  const releasing = database.transaction('test.release', async (transaction) => {
    await endHalt(transaction, 'olga');
    deleted.resolve();
    await gone.promise;
  });
  await deleted.promise;
  // It finds the row on its way out and has to wait for what becomes of it.
  const pausing = pauseForHalt(database, now());
  const blocked = sql`SELECT count(*)::integer AS waiting FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'`;
  const countBlocked = async () => (await database.one<{ waiting: number }>(blocked)).waiting;
  await expect.poll(countBlocked, { timeout: 10_000, interval: 5 }).toBe(1);
  gone.resolve();
  await Promise.all([releasing, pausing]);
  expect(await readHalt(database)).toBeNull();
  expect(await readRun(database, runId)).toMatchObject({ status: 'queued' });
});

test('stops and releases at random leave every run as it was', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, async () => (await seedRun(database)).runId));
  const acts = Array.from({ length: 60 }, (_, index) => async () => {
    if (index % 3 === 0)
      await database.transaction('test.halt', (transaction) =>
        beginHalt(transaction, { by: 'olga', reason: '', now: now() }),
      );
    else if (index % 3 === 1) await releaseAll();
    else await pauseForHalt(database, now());
  });
  await Promise.all(acts.map((act) => act()));
  await releaseAll();
  for (const id of ids)
    expect(await readRun(database, id)).toMatchObject({ status: 'queued', waiting: { on: 'queue' } });
});
