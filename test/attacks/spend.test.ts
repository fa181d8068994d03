import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BudgetRecord } from '../../contract/budgets.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import { sql } from '../../server/database/sql.ts';
import { writeAnswer } from '../../server/models/wire-reply.ts';
import { type AnthropicServer, startAnthropicServer } from '../anthropic-server.ts';
import { House, honest, sumProject } from '../e2e/house.ts';
import { wireKey } from '../wire-server.ts';

const price = { input: 1, output: 2 };
const usage = { input: 4_000, cachedInput: 0, output: 8_000 };
const costMicros = usage.input * price.input + usage.output * price.output;
const abreast = 10;

let house: House;
let provider: AnthropicServer;
beforeAll(async () => {
  house = await House.open({ capacity: abreast, runLimitMicros: 100e6, dayLimitMicros: 1_000e6 });
  let calls = 0;
  provider = await startAnthropicServer(() => {
    calls += 1;
    // It never comes to an end, and never does the same thing twice.
    const note = {
      id: `call_${calls}`,
      name: 'note',
      argumentsText: JSON.stringify({ text: `more ${calls}` }),
    };
    return writeAnswer({
      id: `msg_${calls}`,
      model: 'm',
      text: 'on and on',
      toolCalls: [note],
      usage,
      pace: { chunk: 40, delayMs: 0 },
    });
  });
  await house.ask('PUT', '/providers/mine', {
    kind: 'anthropic',
    baseUrl: provider.baseURL,
    apiKey: wireKey,
  });
  await house.ask('PUT', '/models/mine%2Fspender/price', price);
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

const start = (repository: string, model: string) =>
  house.ask<CreatedTask>('POST', '/tasks', {
    instructions: 'Mend the sum.',
    repository,
    model,
    checks: ['true'],
    setup: [],
  });
const budgetsOf = async (scope: string) =>
  (await house.ask<{ items: BudgetRecord[] }>('GET', `/budgets?scope=${scope}`)).items;

test('ten runs that never stop spending stay together within the budget of their project', async () => {
  const repository = house.repository(sumProject);
  const started = await Promise.all(Array.from({ length: abreast }, () => start(repository, 'mine/spender')));
  const projectId = started[0]?.task.projectId ?? '';
  const limit = await house.ask<BudgetRecord>('PUT', `/budgets/project/${projectId}`, { usd: 0.8 });
  expect(limit).toMatchObject({ scope: 'project', key: projectId, limitMicros: 800_000 });

  const rests = await Promise.all(started.map(({ run }) => house.rest(run.id)));
  for (const { run, ask } of rests)
    expect(ask?.question ?? run.outcome).toContain(`The project budget (${projectId})`);
  const [budget] = await budgetsOf('project');
  const charged = provider.requests.length * costMicros;
  expect(charged).toBeGreaterThan(0);
  expect(budget).toMatchObject({ spentMicros: charged, reservedMicros: 0 });
  expect(charged).toBeLessThanOrEqual(800_000);
  const told = await house.database.many<{ type: string }>(
    sql`SELECT DISTINCT type FROM events WHERE type LIKE 'budget.%' ORDER BY type`,
  );
  expect(told.map(({ type }) => type)).toEqual(['budget.changed', 'budget.exhausted', 'budget.near']);

  // Approved, one run goes on, and the same budget still holds the others.
  const [first] = rests;
  await house.decide(first?.ask ?? null, { decision: 'deny' });
  expect((await house.rest(first?.run.id ?? '', first?.ask ?? null)).run.status).toBe('failed');
  expect(provider.requests.length * costMicros).toBe(charged);
}, 60_000);

test('twin: a run within budgets of its task, agent, project and day comes to its end', async () => {
  const repository = house.repository(sumProject);
  const model = house.record(honest);
  const { task, run } = await start(repository, model);
  for (const place of [
    `task/${task.id}`,
    'agent/developer',
    `project/${task.projectId}`,
    'day/today',
    'agent_day/developer%2Ftoday',
  ])
    expect(await house.ask('PUT', `/budgets/${place}`, { usd: 500, tokens: 1e9 })).toMatchObject({
      limitMicros: 500e6,
    });
  expect(await house.rest(run.id)).toMatchObject({
    run: { status: 'succeeded', outcome: 'its change has passed its checks' },
  });
  expect(await house.ask('DELETE', `/budgets/task/${task.id}`)).toMatchObject({
    limitMicros: null,
    limitTokens: null,
  });
  expect(await house.ask('PUT', '/budgets/agent/nobody', { usd: 1 })).toMatchObject({ status: 404 });
});
