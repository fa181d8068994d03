import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { operator, seedRun } from '../../runs/runs-fixture.ts';
import { type Amount, BudgetRefused, reserve, settle } from './budgets.ts';
import { listBudgets, removeBudget, setBudget } from './manage-budgets.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
});
afterAll(() => home[Symbol.asyncDispose]());

const day = '2030-01-01';
const context = () => ({ database: home.database, now: () => Date.now() });
const take = (runId: string, seq: number, amount: Amount) =>
  home.database
    .transaction('test.reserve', (transaction) =>
      reserve(transaction, { runId, seq, day, dayLimitMicros: 1e12, amount }),
    )
    .then(() => null)
    .catch((error: unknown) => {
      if (error instanceof BudgetRefused) return `${error.refusal.budget.scope} ${error.refusal.kind}`;
      throw error;
    });
const give = (runId: string, seq: number, used: Amount | null) =>
  home.database.transaction('test.settle', (transaction) => settle(transaction, { runId, seq, used }));
const one = (micros: number): Amount => ({ tokens: micros, micros });
const agentOf = async (runId: string) =>
  (await home.database.one<{ id: string }>(sql`SELECT agent_id AS id FROM runs WHERE id = ${runId}`)).id;

test('a call is held against the budgets of its run, task, agent, its day, project and day alike', async () => {
  const { runId, taskId } = await seedRun(home.database, { agent: 'held' });
  const agentId = await agentOf(runId);
  const { projectId } = await home.database.one<{ projectId: string }>(
    sql`SELECT project_id AS "projectId" FROM tasks WHERE id = ${taskId}`,
  );
  const places = [
    { scope: 'task', key: taskId },
    { scope: 'agent', key: 'held' },
    { scope: 'agent_day', key: `held/${day}` },
    { scope: 'project', key: projectId },
    { scope: 'day', key: day },
  ] as const;
  for (const [index, place] of places.entries()) {
    await setBudget(context(), operator, place, { usd: 0.0001 });
    expect(await take(runId, 100 + index, one(101))).toBe(`${place.scope} spent`);
    expect(await take(runId, index, one(100))).toBeNull();
    expect(await take(runId, 100 + index, one(1))).toBe(`${place.scope} reserved`);
    await give(runId, index, one(0));
    expect((await removeBudget(context(), operator, place)).limitMicros).toBeNull();
  }
  await take(runId, 9, one(7));
  await give(runId, 9, null);
  const spent = await listBudgets(home.database, operator, { limited: false });
  const mine = spent.filter(({ key }) =>
    [runId, taskId, agentId, `${agentId}/${day}`, projectId].includes(key),
  );
  expect(mine.map(({ spentMicros, reservedMicros }) => [spentMicros, reservedMicros])).toEqual(
    Array.from({ length: 5 }, () => [7, 0]),
  );
});

test('ten runs at once never bring a shared budget over its limit, and none waits for ever', async () => {
  const runs = await Promise.all(
    Array.from({ length: 10 }, () =>
      seedRun(home.database, { agent: 'crowd', limitMicros: 1e9, limitTokens: 1e9 }),
    ),
  );
  await setBudget(context(), operator, { scope: 'agent', key: 'crowd' }, { usd: 0.001, tokens: 5_000 });
  const worked = runs.map(async ({ runId }, index) => {
    let done = 0;
    for (let seq = 0; seq < 12; seq += 1) {
      const amount = { tokens: 100 + index, micros: 20 + seq };
      const refusal = await take(runId, seq, amount);
      if (refusal !== null) continue;
      done += 1;
      await give(runId, seq, { tokens: 90, micros: 15 + index });
    }
    return done;
  });
  const done = (await Promise.all(worked)).reduce((sum, count) => sum + count, 0);
  const [budget] = (await listBudgets(home.database, operator, { scope: 'agent', limited: true })).filter(
    ({ name }) => name === 'crowd',
  );
  expect(budget?.spentMicros).toBeLessThanOrEqual(1_000);
  expect(budget).toMatchObject({ spentTokens: done * 90, reservedMicros: 0, reservedTokens: 0 });
});

test('there is no budget of what is not there, and a project is seen by those who may', async () => {
  const { taskId } = await seedRun(home.database);
  await expect(
    setBudget(context(), operator, { scope: 'agent', key: 'nobody' }, { usd: 1 }),
  ).rejects.toMatchObject({
    code: 'not_found',
  });
  await expect(
    setBudget(context(), operator, { scope: 'day', key: 'soon' }, { usd: 1 }),
  ).rejects.toMatchObject({
    code: 'not_found',
  });
  await setBudget(context(), operator, { scope: 'task', key: taskId }, { tokens: 10 });
  const seen = (projects: string[] | null) =>
    listBudgets(home.database, { projects }, { scope: 'task', limited: true });
  expect((await seen(null)).some(({ key }) => key === taskId)).toBe(true);
  expect(await seen([])).toEqual([]);
});
