import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { operator, seedRun } from '../../runs/runs-fixture.ts';
import { fullActor } from '../actor.ts';
import { addRule, findJudged, listRules, readPolicy, removeRule } from './policies.ts';

let home: TestDatabase;
let run: { runId: string };
const admin = fullActor({ id: 'prn_admin', name: 'ada', role: 'admin' });
beforeAll(async () => {
  home = await createTestDatabase();
  run = await seedRun(home.database);
});
afterAll(() => home[Symbol.asyncDispose]());

const add = (pattern: string, scope = {}) =>
  addRule(home.database, admin, {
    rule: { effect: 'ask', tool: 'run_command', pattern },
    scope,
    why: `for ${pattern}`,
  });
const ofRun = async () =>
  home.database.one<{ agentId: string; agentRole: string; projectId: string; runId: string }>(
    sql`SELECT agents.id AS "agentId", agents.role AS "agentRole", tasks.project_id AS "projectId", runs.id AS "runId"
        FROM runs JOIN agents ON agents.id = runs.agent_id JOIN tasks ON tasks.id = runs.task_id WHERE runs.id = ${run.runId}`,
  );

test('each change is a version, with who and why; rules hold for whom they name', async () => {
  const of = await ofRun();
  const none = await readPolicy(home.database, of);
  expect(none).toEqual({ version: 0, rules: [] });
  const everybody = await add('a');
  const mine = await add('b', { agent: of.agentId, project: of.projectId });
  await add('c', { role: 'no such role' });
  const forRun = await add('d', { run: of.runId });
  const policy = await readPolicy(home.database, of);
  expect(policy.version).toBe(4);
  expect(policy.rules.map(({ number, pattern, weight }) => [number, pattern, weight])).toEqual([
    [everybody.number, 'a', 1],
    [mine.number, 'b', 7],
    [forRun.number, 'd', 9],
  ]);
  const elsewhere = await readPolicy(home.database, { ...of, projectId: 'prj_other', runId: null });
  expect(elsewhere.rules.map(({ pattern }) => pattern)).toEqual(['a']);

  const removed = await removeRule(home.database, admin, everybody.number, 'no more');
  expect(removed.removed).toMatchObject({ version: 5, by: 'ada', why: 'no more' });
  await expect(removeRule(home.database, admin, everybody.number, 'again')).rejects.toMatchObject({
    code: 'wrong_state',
  });
  expect((await readPolicy(home.database, of)).rules.map(({ pattern }) => pattern)).toEqual(['b', 'd']);
  const history = await listRules(home.database, admin, { history: true, limit: 10 });
  expect(history.version).toBe(5);
  expect(history.items).toHaveLength(4);
  const seen = await listRules(home.database, { projects: [] }, { history: false, limit: 10 });
  expect(seen.items.map(({ rule }) => rule.pattern)).toEqual(['d', 'c']);
});

test('changes at once are versions one after the other', async () => {
  const before = (await readPolicy(home.database, await ofRun())).version;
  const added = await Promise.all(['e', 'f', 'g', 'h'].map((pattern) => add(pattern)));
  expect(added.map((rule) => rule.added.version).sort((a, b) => a - b)).toEqual(
    [1, 2, 3, 4].map((more) => before + more),
  );
});

test('no agent and no operator changes it, and nothing is named that there is not', async () => {
  const rule = { effect: 'allow' as const, tool: '*' };
  const body = { rule, scope: {}, why: 'please' };
  const agent = {
    ...fullActor({ id: 'agt', name: 'dev', role: 'agent' }),
    permissions: ['policy:manage' as const],
  };
  for (const actor of [agent, operator]) {
    await expect(addRule(home.database, actor, body)).rejects.toMatchObject({ code: 'forbidden' });
  }
  await expect(add('x', { agent: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
  await expect(findJudged(home.database, 'nobody', null)).rejects.toMatchObject({ code: 'not_found' });
});
