import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentLimits, agentLimits } from '../../../contract/limits.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { setLimits } from '../../domain/limits/limits.ts';
import { operator, seedRun } from '../../runs/runs-fixture.ts';
import { LimitsGuard } from './limits-guard.ts';
import { openGuards } from './open-guards.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());

async function open(agent: string, limits: Partial<AgentLimits>) {
  const { database } = home;
  const { runId, taskId } = await seedRun(database, { agent });
  const { agentId } = await database.one<{ agentId: string }>(
    sql`SELECT agent_id AS "agentId" FROM runs WHERE id = ${runId}`,
  );
  await setLimits({ database, now: () => Date.now() }, operator, agent, agentLimits.parse(limits));
  const suspend = async (reason: string): Promise<never> => {
    throw new Error(reason);
  };
  const run = { runId, taskId, agentId, agent };
  return { run, guard: new LimitsGuard({ database, steps: () => [], suspend }, run) };
}

test('a host that is not listed is kept back for good, or until a person says so', async () => {
  const { guard } = await open('bounded', { hosts: ['*.example.com', 'a.test'], outside: 'deny' });
  expect(await guard.keepFrom('docs.example.com')).toBeNull();
  expect(await guard.keepFrom('a.test')).toBeNull();
  for (const host of ['example.com', 'b.test', 'aexample.com'])
    expect(await guard.keepFrom(host)).toMatchObject({ mayAsk: false });
  const { guard: asking } = await open('asking', { hosts: ['a.test'] });
  expect(await asking.keepFrom('b.test')).toMatchObject({ mayAsk: true });
});

test('a host never reached before is asked about once the agent has a past, and not before', async () => {
  const fresh = await open('young', { learningRuns: 1 });
  expect(await fresh.guard.keepFrom('new.test')).toBeNull();
  const before = await open('known', { learningRuns: 1 });
  await home.database.many(
    sql`UPDATE runs SET status = 'succeeded', waiting = NULL, wake_at = NULL, ended_at = now() WHERE id = ${before.run.runId}`,
  );
  const { guard } = await open('known', { learningRuns: 1 });
  expect(await guard.keepFrom('new.test')).toMatchObject({
    mayAsk: true,
    reason: 'this agent has never reached the host new.test in its 1 run before',
  });
});

test('what the task itself brought is marked with the first call, and what was kept back with its own', async () => {
  const { run } = await open('marked', { hosts: [], ordinary: 'off' });
  await home.database.many(sql`UPDATE tasks SET created_by = 'a-stranger' WHERE id = ${run.taskId}`);
  const guards = await openGuards({
    database: home.database,
    run,
    steps: () => [],
    files: ['.env', 'README.md'],
    hasNetwork: true,
    suspend: async () => {
      throw new Error('it is not to be suspended');
    },
  });
  expect(await guards.mayReach('b.test')).toMatchObject({ reason: expect.stringContaining('limited to') });
  const intent = {
    callId: '1',
    modelSeq: 1,
    name: 'run_command',
    input: { command: 'ls' },
    effect: 'workspace',
  } as const;
  expect(guards.mark(intent, { ok: true, output: '' })).toMatchObject({
    taint: [
      { kind: 'untrusted', source: 'the task, given by a-stranger' },
      { kind: 'private', source: '.env' },
    ],
    keptFrom: [{ host: 'b.test' }],
  });
});
