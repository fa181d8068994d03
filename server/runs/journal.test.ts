import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ToolIntent } from '../../contract/steps.ts';
import { isUniqueViolation } from '../database/database-errors.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { LeaseLost } from '../errors.ts';
import { Journal, type NewStep, readSteps } from './journal.ts';
import { type ClaimedRun, claimRuns, releaseRun } from './lease.ts';
import { eventTypesOf, seedRun, waitingOn } from './runs-fixture.ts';

let home: TestDatabase;
let run: ClaimedRun;
let journal: Journal;

beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  const { runId } = await seedRun(home.database);
  run = await claim(runId, 'wrk_a');
  journal = await Journal.open(home.database, run);
});

async function claim(runId: string, workerId: string): Promise<ClaimedRun> {
  const claimed = await claimRuns(home.database, {
    workerId,
    limit: 100,
    leaseSeconds: 15,
    now: Date.now() + 1_000,
  });
  const found = claimed.find((one) => one.runId === runId);
  if (found === undefined) throw new Error(`${runId} was not due`);
  return found;
}

function toolStep(callId: string, modelSeq = 1): NewStep {
  const intent: ToolIntent = { callId, modelSeq, name: 'read_file', input: { path: 'a' }, effect: 'read' };
  return { kind: 'tool', name: 'read_file', intent };
}
const note: NewStep = { kind: 'note', name: 'note', intent: { text: 'n' } };

async function takeOver(): Promise<ClaimedRun> {
  await releaseRun(home.database, run, {
    wakeAt: Date.now(),
    waiting: waitingOn('queue'),
    failed: false,
    cause: 'test',
  });
  return claim(run.runId, 'wrk_b');
}

test('what is in memory is what is in the database, and what a new holder reads', async () => {
  await journal.record(note);
  const step = await journal.intend({ ...toolStep('call'), snapshot: 'tree' });
  await journal.complete(step.seq, {
    status: 'failed',
    result: { ok: false, output: 'x' },
    error: { class: 'tool_failed', message: 'x' },
  });
  await journal.intend(toolStep('open'));
  expect(await readSteps(home.database, { runId: run.runId })).toEqual(journal.steps);
  const next = await Journal.open(home.database, await takeOver());
  expect(next.steps).toEqual(journal.steps);
  expect(next.steps.map((each) => [each.seq, each.status])).toEqual([
    [1, 'done'],
    [2, 'failed'],
    [3, 'intended'],
  ]);
  expect((await eventTypesOf(home.database, run.runId)).filter((type) => type.startsWith('step.'))).toEqual([
    'step.recorded',
    'step.intended',
    'step.completed',
    'step.intended',
  ]);
});

test('an old token writes nothing: no intent, no result, no event, nothing alongside', async () => {
  const step = await journal.intend(toolStep('call'));
  const next = await Journal.open(home.database, await takeOver());
  const events = await eventTypesOf(home.database, run.runId);
  let alongside = 0;
  const also = async () => {
    alongside += 1;
  };
  await expect(journal.record(note)).rejects.toThrow(LeaseLost);
  await expect(journal.record(note, { status: 'done' }, also)).rejects.toThrow(LeaseLost);
  await expect(journal.complete(step.seq, { status: 'done' })).rejects.toThrow(LeaseLost);
  await expect(journal.complete(step.seq, { status: 'done' }, also)).rejects.toThrow(LeaseLost);
  expect(alongside).toBe(0);
  expect(await eventTypesOf(home.database, run.runId)).toEqual(events);
  expect(await readSteps(home.database, { runId: run.runId })).toEqual(next.steps);
});

test('a write that began under the old token and a claim wait for one another', async () => {
  const holding = Promise.withResolvers<void>();
  const mayCommit = Promise.withResolvers<void>();
  const late = journal.record(note, { status: 'done' }, async () => {
    holding.resolve();
    await mayCommit.promise;
  });
  await holding.promise;
  let taken = false;
  const taking = takeOver().then((next) => {
    taken = true;
    return next;
  });
  // PostgreSQL itself says that the one waits for the other.
  while (!taken) {
    const [waits] = await home.database.many(
      sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (waits !== undefined) break;
  }
  expect(taken).toBe(false);
  mayCommit.resolve();
  await late;
  expect((await Journal.open(home.database, await taking)).steps).toHaveLength(1);
});

test('the database refuses a second open intent, and a second result of a call', async () => {
  const step = await journal.intend(toolStep('call'));
  const second = await journal.intend(toolStep('other')).catch((error: unknown) => error);
  expect(isUniqueViolation(second, 'steps_one_open')).toBe(true);
  await journal.complete(step.seq, { status: 'done', result: { ok: true, output: '' } });
  const again = await journal.record(toolStep('call'), { status: 'failed' }).catch((error: unknown) => error);
  expect(isUniqueViolation(again, 'steps_one_result')).toBe(true);
  await expect(journal.complete(step.seq, { status: 'failed' })).rejects.toThrow(LeaseLost);
  expect(journal.steps).toHaveLength(1);
  await journal.record(toolStep('call', 2), { status: 'done' });
});

test('a call in doubt may have its result later', async () => {
  const step = await journal.intend(toolStep('call'));
  await journal.complete(step.seq, { status: 'in_doubt' });
  await journal.record(toolStep('call'), { status: 'done' });
  expect(journal.steps.map((each) => each.status)).toEqual(['in_doubt', 'done']);
});

test('what fails alongside a step takes the step back', async () => {
  const failing = journal.record(note, { status: 'done' }, async () => {
    throw new Error('no room');
  });
  await expect(failing).rejects.toThrow('no room');
  expect(journal.steps).toEqual([]);
  expect((await journal.record(note)).seq).toBe(1);
});

test('every write tells what is asked of the run', async () => {
  expect(journal.state).toEqual({ control: 'go', wakeCount: 0 });
  await home.database.many(sql`UPDATE runs SET control = 'pause', wake_count = 3 WHERE id = ${run.runId}`);
  await journal.record(note);
  expect(journal.state).toEqual({ control: 'pause', wakeCount: 3 });
});

test('text that PostgreSQL cannot hold does not stop a run', async () => {
  const step = await journal.intend({ ...toolStep('call'), name: 'na\u0000me' });
  const output = `NUL \u0000, half a pair \ud83d, a whole one 😀, and the letters \\u0000 \\\\ud800`;
  await journal.complete(step.seq, { status: 'done', result: { ok: true, output } });
  expect(journal.steps[0]?.name).toBe('na\ufffdme');
  expect(journal.steps[0]?.result).toEqual({
    ok: true,
    output: 'NUL \ufffd, half a pair \ufffd, a whole one 😀, and the letters \\u0000 \\\\ud800',
  });
});
