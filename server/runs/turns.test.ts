import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../database/database.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { claimRuns, endRun } from './lease.ts';
import { readRun, seedRun } from './runs-fixture.ts';
import { findRunBefore, takeTurn, wakeBehind } from './turns.ts';

let home: TestDatabase;
let database: Database;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 8 });
  database = home.database;
});
afterAll(() => home[Symbol.asyncDispose]());

async function queue(key: string): Promise<string> {
  const { runId } = await seedRun(database);
  await database.transaction('test.turn', (transaction) => takeTurn(transaction, runId, key));
  return runId;
}

async function claimAll() {
  const claim = { workerId: 'wrk_a', limit: 100, leaseSeconds: 15, now: Date.now() + 1_000 };
  return new Map((await claimRuns(database, claim)).map((run) => [run.runId, run]));
}

test('each waits for the one before it on its own branch, and hears of its end', async () => {
  const [first, second, third] = [await queue('a'), await queue('a'), await queue('a')];
  const other = await queue('b');
  const before = async (id: string) => (await findRunBefore(database, id))?.id;
  expect(await before(first)).toBeUndefined();
  expect(await before(second)).toBe(first);
  expect(await before(third)).toBe(second);
  expect(await before(other)).toBeUndefined();
  expect(await before((await seedRun(database)).runId)).toBeUndefined();

  const leases = await claimAll();
  const end = (id: string, hold: Promise<void> = Promise.resolve()) => {
    const lease = leases.get(id);
    if (lease === undefined) throw new Error('it was not claimed');
    return endRun(database, lease, {
      status: 'succeeded',
      outcome: 'done',
      settle: async (transaction) => {
        await wakeBehind(transaction, { runId: id, actor: 'wrk_a', now: Date.now() });
        await hold;
      },
    });
  };
  // Both end at once, neither sees the other's end: the third must hear of the later one all the same.
  const held = Promise.withResolvers<void>();
  const ending = end(first, held.promise);
  const middle = end(second);
  held.resolve();
  await Promise.all([ending, middle]);
  expect(await before(third)).toBeUndefined();
  expect(await readRun(database, third)).toMatchObject({ wakeCount: 2 });
  expect(await readRun(database, other)).toMatchObject({ wakeCount: 0 });
});
