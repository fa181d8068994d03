import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { LeaseLost } from '../errors.ts';
import { openLog } from '../log.ts';
import { type ClaimedRun, claimRuns, endRun, holdLease } from './lease.ts';
import { expireDeadHolders, LeaseWatch } from './lease-watch.ts';
import { identifyProcess } from './process-identity.ts';
import { eventTypesOf, readRun, seedRun, VirtualClock } from './runs-fixture.ts';

let home: TestDatabase;
let clock: VirtualClock;
let watch: LeaseWatch;
let run: ClaimedRun;
const leaseSeconds = 15;

beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  clock = new VirtualClock();
  // It looks by itself once in a long while; the tests look.
  watch = new LeaseWatch({ database: home.database, clock, log: openLog('silent'), leaseSeconds: 100_000 });
  run = await hold();
});
afterEach(async () => {
  await watch[Symbol.asyncDispose]();
  const rows = await home.database.many<ClaimedRun>(
    sql`SELECT id AS "runId", task_id AS "taskId", lease_token AS token, worker_id AS "workerId", kind FROM runs WHERE worker_id IS NOT NULL`,
  );
  for (const held of rows)
    await endRun(home.database, held, { status: 'failed', outcome: 'the test is over' });
});

async function hold(workerId = 'wrk_a'): Promise<ClaimedRun> {
  const { runId } = await seedRun(home.database, { now: clock.now() });
  const claimed = await claimRuns(home.database, { workerId, limit: 100, leaseSeconds, now: clock.now() });
  const found = claimed.find((one) => one.runId === runId);
  if (found === undefined) throw new Error(`${runId} was not due`);
  return found;
}
const beat = (runId = run.runId) =>
  home.database.many(sql`UPDATE runs SET heartbeat = heartbeat + 1 WHERE id = ${runId}`);
const look = async (afterMs: number) => {
  clock.advance(afterMs);
  await watch.look();
  return (await readRun(home.database, run.runId)).status;
};

test('a heartbeat that stands still expires after exactly one lease, not before', async () => {
  expect(await look(0)).toBe('running');
  expect(await look(14_999)).toBe('running');
  expect(await look(1)).toBe('queued');
  const row = await readRun(home.database, run.runId);
  expect(row).toMatchObject({ workerId: null, token: run.token + 1, failures: 1, waiting: { on: 'queue' } });
  expect(row.wakeAt).not.toBeNull();
  expect((await eventTypesOf(home.database, run.runId)).at(-1)).toBe('run.lease_expired');
  await expect(holdLease(home.database, run)).rejects.toThrow(LeaseLost);
});

test('a beat starts the lease anew, and each run is judged by its own', async () => {
  const other = await hold('wrk_b');
  expect(await look(0)).toBe('running');
  await beat();
  expect(await look(14_000)).toBe('running');
  expect(await look(14_999)).toBe('running');
  expect(await readRun(home.database, other.runId)).toMatchObject({ status: 'queued' });
  expect(await look(1)).toBe('queued');
});

test('a wall clock that jumps by an hour changes nothing', async () => {
  expect(await look(0)).toBe('running');
  for (const jump of [3_600_000, -3_600_000, -3_600_000]) {
    clock.wall += jump;
    expect(await look(4_000)).toBe('running');
  }
  clock.wall += 3_600_000;
  expect(await look(3_000)).toBe('queued');
});

test('a new holder is a new sighting', async () => {
  expect(await look(0)).toBe('running');
  await home.database.many(sql`UPDATE runs SET lease_token = lease_token + 1 WHERE id = ${run.runId}`);
  expect(await look(15_000)).toBe('running');
  expect(await look(15_000)).toBe('queued');
});

test('a holder that beats in the same moment in which it is judged keeps its run', async () => {
  expect(await look(0)).toBe('running');
  clock.advance(15_000);
  await Promise.all([watch.look(), beat()]);
  const row = await readRun(home.database, run.runId);
  expect([
    [1, 'running'],
    [1, 'queued'],
  ]).toContainEqual([row.heartbeat, row.status]);
  expect(row.token).toBe(row.status === 'running' ? run.token : run.token + 1);
});

async function enlist(id: string, process: string): Promise<void> {
  await home.database.many(
    sql`INSERT INTO workers (id, host, pid, process, sandbox) VALUES (${id}, 'here', 1, ${process}, 'bubblewrap')`,
  );
}

test('who owns the data knows at its start which holders are dead', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const identity = identifyProcess(child.pid ?? 0);
  await enlist('wrk_alive', identifyProcess(process.pid));
  await enlist('wrk_dead', identity);
  await enlist('wrk_reused', identifyProcess(process.pid).replace(/\d+$/, '1'));
  const held = new Map<string, ClaimedRun>();
  for (const worker of ['wrk_alive', 'wrk_dead', 'wrk_reused', 'wrk_unknown'])
    held.set(worker, await hold(worker));
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  // The run of the first set-up has no worker's row either.
  expect(await expireDeadHolders(home.database, clock.now())).toBe(4);
  for (const [worker, { runId }] of held) {
    const { status, failures } = await readRun(home.database, runId);
    expect([worker, status, failures]).toEqual([
      worker,
      ...(worker === 'wrk_alive' ? ['running', 0] : ['queued', 1]),
    ]);
  }
  expect(await expireDeadHolders(home.database, clock.now())).toBe(0);
});
