import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { sql } from '../database/sql.ts';
import { requestControl } from '../domain/runs/runs.ts';
import { LeaseLost } from '../errors.ts';
import { openLog } from '../log.ts';
import { wakeRun } from './lease.ts';
import { operator, readRun, seedRun, Told, VirtualClock, waitingOn } from './runs-fixture.ts';
import { type DriveResult, type Driver, Interrupted, Worker, type WorkerOptions } from './worker.ts';

let told: Told;
let workers: Worker[];
let ordinal = 0;

beforeAll(async () => {
  told = await Told.open();
});
afterAll(() => told[Symbol.asyncDispose]());
beforeEach(() => {
  workers = [];
});
afterEach(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
});

/** A lease so long that nothing is heard by way of a heartbeat, unless a test wants that. */
async function start(driver: Driver, options: Partial<WorkerOptions> = {}): Promise<Worker> {
  ordinal += 1;
  const worker = new Worker({
    id: `wrk_${ordinal}`,
    database: told.database,
    clock: systemClock,
    log: openLog('silent'),
    sandbox: 'bubblewrap',
    drivers: { task: driver, merge: driver, revert: driver, push: driver },
    giveUp: async () => undefined,
    capacity: 4,
    leaseSeconds: 3_600,
    ...options,
  });
  workers.push(worker);
  await worker.start();
  return worker;
}

const ended: DriveResult = { kind: 'end', status: 'succeeded', outcome: 'done' };
const stopped: DriveResult = { kind: 'end', status: 'stopped', outcome: 'stopped' };
const parked: DriveResult = { kind: 'park', status: 'waiting', waiting: waitingOn('ask'), wakeAt: null };
const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });
const control = (runId: string, what: 'go' | 'pause' | 'stop') =>
  requestControl({ database: told.database, now: Date.now }, operator, runId, what);

test('several workers drive each run once, and a queued run without waiting for a poll', async () => {
  const driven: string[] = [];
  const driver: Driver = async ({ run }) => {
    driven.push(run.runId);
    return ended;
  };
  await start(driver, { capacity: 2 });
  await start(driver, { capacity: 3 });
  const seeded = await Promise.all(Array.from({ length: 15 }, () => seedRun(told.database)));
  for (const { runId } of seeded) await told.until(runId, 'run.succeeded');
  expect(driven.toSorted()).toEqual(seeded.map((run) => run.runId).toSorted());
});

test('a woken run is driven again, a wake in the midst of driving as well', async () => {
  let drives = 0;
  await start(async ({ run }) => {
    drives += 1;
    if (drives === 1) await wake(run.runId);
    return drives < 4 ? parked : ended;
  });
  const wake = (runId: string) =>
    told.database.transaction('test.wake', (transaction) =>
      wakeRun(transaction, { runId, actor: 'olga', now: Date.now(), reason: 'test' }),
    );
  const { runId } = await seedRun(told.database);
  await told.until(runId, 'run.waiting', 1);
  expect(drives).toBe(2);
  await wake(runId);
  await told.until(runId, 'run.waiting', 2);
  await wake(runId);
  await told.until(runId, 'run.succeeded');
  expect(drives).toBe(4);
});

test('a run that is held hears that it is to stop, and ends as stopped', async () => {
  const begun = Promise.withResolvers<void>();
  const heard: unknown[] = [];
  await start(async (context) => {
    if (context.control() === 'stop') return stopped;
    begun.resolve();
    return aborted(context.signal).catch((reason: unknown) => {
      heard.push(reason);
      throw reason;
    });
  });
  const { runId } = await seedRun(told.database);
  await begun.promise;
  await control(runId, 'stop');
  await told.until(runId, 'run.stopped');
  expect(heard).toEqual([expect.objectContaining({ why: 'stop' })]);
  expect(heard[0]).toBeInstanceOf(Interrupted);
  expect(await readRun(told.database, runId)).toMatchObject({ status: 'stopped', failures: 0 });
});

test('a pause is taken at the next boundary, and not if it was taken back before', async () => {
  const acts: PromiseWithResolvers<void>[] = [Promise.withResolvers(), Promise.withResolvers()];
  const begun: PromiseWithResolvers<() => string>[] = [Promise.withResolvers(), Promise.withResolvers()];
  let act = 0;
  await start(async (context) => {
    for (;;) {
      if (context.control() === 'pause') return { ...parked, status: 'paused', waiting: waitingOn('pause') };
      const at = act;
      act += 1;
      if (at === acts.length) return ended;
      begun[at]?.resolve(context.control);
      await acts[at]?.promise;
      await context.journal.record({ kind: 'note', name: 'note', intent: { text: 'a boundary' } });
    }
  });
  const { runId } = await seedRun(told.database);
  const heard = await begun[0]?.promise;
  await control(runId, 'pause');
  await expect.poll(() => heard?.()).toBe('pause');
  await control(runId, 'go');
  acts[0]?.resolve();
  await begun[1]?.promise;
  await control(runId, 'pause');
  acts[1]?.resolve();
  await told.until(runId, 'run.paused');
  expect(await readRun(told.database, runId)).toMatchObject({ status: 'paused', waiting: { on: 'pause' } });
  await control(runId, 'go');
  await told.until(runId, 'run.succeeded');
  expect(act).toBe(3);
});

test('a run that fails eight times without a step of progress is given up', async () => {
  const clock = new VirtualClock();
  clock.wall = Date.now();
  const given: string[] = [];
  let drives = 0;
  const worker = await start(
    async () => {
      drives += 1;
      throw new Error('poison');
    },
    { clock, giveUp: async (_transaction, run) => void given.push(run.runId) },
  );
  const { runId } = await seedRun(told.database, { now: clock.now() });
  for (let failure = 1; failure <= 8; failure++) {
    await told.until(runId, 'run.released', failure);
    clock.advance(2_000);
    worker.poke();
  }
  await told.until(runId, 'run.failed');
  expect([drives, given]).toEqual([8, [runId]]);
  expect((await readRun(told.database, runId)).outcome).toContain('given up');
});

test('a run that gets further between its failures goes on', async () => {
  const clock = new VirtualClock();
  clock.wall = Date.now();
  let drives = 0;
  const worker = await start(
    async ({ journal }) => {
      drives += 1;
      await journal.record({ kind: 'note', name: 'note', intent: { text: 'further' } });
      if (drives > 12) return ended;
      throw new Error('not yet');
    },
    { clock },
  );
  const { runId } = await seedRun(told.database, { now: clock.now() });
  for (let failure = 1; failure <= 12; failure++) {
    await told.until(runId, 'run.released', failure);
    expect((await readRun(told.database, runId)).failures).toBe(1);
    clock.advance(2_000);
    worker.poke();
  }
  await told.until(runId, 'run.succeeded');
});

test('draining gives runs back: at their next boundary, or interrupted after the limit', async () => {
  const heard: unknown[] = [];
  const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let polite = '';
  const worker = await start(async (context) => {
    const isPolite = context.run.runId === polite;
    begun[isPolite ? 0 : 1]?.resolve();
    if (!isPolite)
      return aborted(context.signal).catch((reason: unknown) => {
        heard.push(reason);
        throw reason;
      });
    while (!context.draining()) await told.database.one(sql`SELECT pg_sleep(0.01)`);
    return { kind: 'release' };
  });
  const later = Date.now() + 3_600_000;
  const first = await seedRun(told.database, { now: later });
  polite = first.runId;
  const second = await seedRun(told.database);
  await told.database.transaction('test.wake', (transaction) =>
    wakeRun(transaction, { runId: polite, actor: 'olga', now: Date.now(), reason: 'test' }),
  );
  await Promise.all(begun.map((one) => one.promise));
  await worker.drain(200);
  for (const { runId } of [first, second]) {
    expect(await readRun(told.database, runId)).toMatchObject({
      status: 'queued',
      workerId: null,
      failures: 0,
    });
    await told.until(runId, 'run.released');
  }
  expect(heard).toEqual([expect.objectContaining({ why: 'shutdown' })]);
  await start(async () => ended);
  for (const { runId } of [first, second]) await told.until(runId, 'run.succeeded');
});

test('a heartbeat keeps what is driven here alive and nothing else', async () => {
  const done = Promise.withResolvers<void>();
  await start(
    async () => {
      await done.promise;
      return ended;
    },
    { leaseSeconds: 1, capacity: 1 },
  );
  const driven = await seedRun(told.database);
  await told.until(driven.runId, 'run.claimed');
  const orphan = await seedRun(told.database, { now: Date.now() + 3_600_000 });
  await told.database.many(
    sql`UPDATE runs SET worker_id = ${`wrk_${ordinal}`}, status = 'running' WHERE id = ${orphan.runId}`,
  );
  await expect.poll(async () => (await readRun(told.database, driven.runId)).heartbeat).toBeGreaterThan(2);
  expect((await readRun(told.database, orphan.runId)).heartbeat).toBe(0);
  await told.database.many(
    sql`UPDATE runs SET worker_id = NULL, status = 'failed', wake_at = NULL, ended_at = now() WHERE id = ${orphan.runId}`,
  );
  done.resolve();
  await told.until(driven.runId, 'run.succeeded');
});

test('a worker whose lease was taken starts nothing more, and gives nothing back', async () => {
  const lost = Promise.withResolvers<unknown>();
  await start(
    async ({ signal }) =>
      aborted(signal).catch((reason: unknown) => {
        lost.resolve(reason);
        throw reason;
      }),
    { leaseSeconds: 1 },
  );
  const { runId } = await seedRun(told.database);
  await told.until(runId, 'run.claimed');
  await told.database.many(
    sql`UPDATE runs SET lease_token = lease_token + 1, worker_id = 'wrk_other' WHERE id = ${runId}`,
  );
  expect(await lost.promise).toBeInstanceOf(LeaseLost);
  await workers[0]?.[Symbol.asyncDispose]();
  expect(await readRun(told.database, runId)).toMatchObject({
    status: 'running',
    workerId: 'wrk_other',
    failures: 0,
  });
});
