import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentLimits, type AgentLimitsView, agentLimits } from '../../contract/limits.ts';
import type { RunView } from '../../contract/runs.ts';
import { sql } from '../../server/database/sql.ts';
import { registerAgent } from '../../server/domain/principals/principals.ts';
import { mission } from '../mission.ts';
import { House, honest, mendedSum, shell, type Turn, toDelivery, toWork, write } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ capacity: 6 });
});
afterAll(() => house[Symbol.asyncDispose]());

async function openAgent(name: string, limits: Partial<AgentLimits>): Promise<string> {
  await registerAgent(house.database, {
    name,
    role: 'developer',
    prompt: 'Work.',
    model: 'recorded/none',
    playbook: 'coder',
    policy: [{ effect: 'allow', tool: '*' }],
  });
  await limit(name, limits);
  return name;
}
const limit = (agent: string, limits: Partial<AgentLimits>) =>
  house.ask<AgentLimitsView>('PUT', `/agents/${agent}/limits`, agentLimits.parse(limits));
const start = async (agent: string, turns: readonly Turn[]) =>
  (await house.start(turns, { agent, checks: ['true'], setup: [] })).run.id;
const mend: Turn[] = [write('src/sum.js', mendedSum), ...toDelivery];
const typesOf = async (runId: string, type: string) =>
  house.database.many(sql`SELECT FROM events WHERE run_id = ${runId} AND type = ${type}`);

test.concurrent('an agent over its rate waits by name, and goes on when there is room', async () => {
  const agent = await openAgent('hasty', { callsPerMinute: 6 });
  const runId = await start(agent, honest);
  let waiting: RunView['waiting'] = null;
  for await (const event of house.follow(`run=${runId}&after=0`, 60_000)) {
    if (event.type !== 'run.waiting') continue;
    ({ waiting } = await house.ask<RunView>('GET', `/runs/${runId}`));
    break;
  }
  expect(waiting).toMatchObject({
    on: 'timer',
    reason: 'the agent is at its limit of 6 calls a minute',
    atDeadline: 'retry',
  });
  expect(Date.parse(waiting?.deadline ?? '') - Date.now()).toBeLessThan(61_000);
  const view = await house.ask<AgentLimitsView>('GET', `/agents/${agent}/limits`);
  expect(view.used.callsLastMinute).toBe(6);
  await limit(agent, { callsPerMinute: 600 });
  expect((await house.rest(runId)).run.status).toBe('succeeded');
});

test.concurrent('where the rule is to ask, a person lets a command over the rate through, or not', async () => {
  const agent = await openAgent('curious', { commandsPerHour: 1, over: 'ask' });
  const runId = await start(agent, [
    ...toWork,
    shell('echo one'),
    shell('echo two'),
    shell('echo three'),
    ...mend,
  ]);
  const first = await house.rest(runId);
  expect(first.ask?.question).toContain('at its limit of 1 commands an hour');
  await house.decide(first.ask, { decision: 'deny' });
  const second = await house.rest(runId, first.ask);
  await house.decide(second.ask, { decision: 'approve' });
  expect((await house.rest(runId, second.ask)).run.status).toBe('succeeded');
  const commands = (await house.steps(runId)).filter(({ name }) => name === 'run_command');
  expect(commands.map(({ status }) => status)).toEqual(['done', 'failed', 'done']);
});

test.concurrent('a tool that is not listed is refused or asked about, by rule', async () => {
  const agent = await openAgent('narrow', { tools: ['write_file', 'git_*'], outside: 'deny' });
  const runId = await start(agent, [...toWork, shell('echo one'), ...mend]);
  expect((await house.rest(runId)).run.status).toBe('succeeded');
  const [refused] = (await house.steps(runId)).filter(({ name }) => name === 'run_command');
  expect(refused?.error?.message).toContain('not among the tools that this agent is limited to');
});

test.concurrent("an agent's money of the day is a budget: it waits for the next day, or asks", async () => {
  const agent = await openAgent('poor', { dayUsd: 0 });
  const runId = await start(agent, honest);
  for await (const event of house.follow(`run=${runId}&after=0`, 60_000))
    if (event.type === 'run.waiting') break;
  const { waiting } = await house.ask<RunView>('GET', `/runs/${runId}`);
  expect(waiting).toMatchObject({ on: 'budget', reason: expect.stringContaining("agent's day budget") });
  expect(new Date(waiting?.deadline ?? 0).toISOString()).toMatch(/T00:00:00.000Z$/);
  await limit(agent, { dayUsd: 0, over: 'ask' });
  const { ask } = await house.rest(runId);
  expect(ask?.question).toContain('Approve to raise the limit');
  await house.decide(ask, { decision: 'deny' });
  expect((await house.rest(runId, ask)).run.status).toBe('failed');
});

test('an ordinary first task is not asked about; a tool never used before is, once the agent has a past', async () => {
  const agent = await openAgent('steady', { learningRuns: 1 });
  const commanding: Turn[] = [...toWork, shell('echo new'), shell('echo again'), ...mend];
  const first = await house.rest(await start(agent, honest));
  expect([first.run.status, first.ask]).toEqual(['succeeded', null]);
  const runId = await start(agent, commanding);
  const { ask } = await house.rest(runId);
  expect(ask?.question).toContain('this agent has never used the tool run_command in its 1 run before');
  expect(await typesOf(runId, 'agent.surprised')).toHaveLength(1);
  await house.decide(ask, { decision: 'approve' });
  expect((await house.rest(runId, ask)).run.status).toBe('succeeded');

  await limit(agent, { learningRuns: 1, ordinary: 'suspend' });
  const suspended = await start(agent, [...toWork, { calls: [['git_diff', {}]] }, ...mend]);
  for await (const event of house.follow(`run=${suspended}&after=0`, 60_000)) {
    if (event.type === 'run.paused') break;
  }
  const view = await house.ask<{ status: string }>('GET', `/agents/${agent}`);
  expect(view.status).toBe('suspended');
  await house.ask('POST', `/agents/${agent}/resume`);
  expect((await house.rest(suspended)).run.status).toBe('succeeded');
});

test('limits are an admin’s: neither an operator nor an agent changes them', async () => {
  const { key } = await house.ask<{ key: string }>('POST', '/keys', { role: 'operator', name: 'shift' });
  const response = await house.fetch('/agents/developer/limits', {
    method: 'PUT',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(agentLimits.parse({})),
  });
  expect(response.status).toBe(403);
});

test('the command line sets budgets and limits, shows them, and takes them away', async () => {
  const home = join(house.folder, 'home');
  const say = async (...args: string[]) => {
    const { status, stdout, stderr } = await mission(home, args);
    return `${status} ${stdout}${stderr}`;
  };
  expect(await say('budget', 'set', 'agent', 'developer', '--usd', '5', '--tokens', '1000000')).toMatch(
    /^0 agent agt_\S+ \(developer\) {2}\$0\.00 of \$5\.00, 0 tokens of 1\.00M tokens/,
  );
  expect(await say('budget', 'list', '--scope', 'agent')).toContain('of $5.00');
  expect(await say('budget', 'remove', 'agent', 'developer')).toContain('of no limit');

  expect(
    await say('limit', 'set', 'developer', '--calls-per-hour', '500', '--hosts', '*.example.com'),
  ).toMatch(/^0 developer\n[\s\S]*calls an hour {6}500[\s\S]*hosts {14}\*\.example\.com/);
  expect(await say('limit', 'set', 'developer', '--calls-per-hour', 'none', '--hosts', 'none')).toMatch(
    /calls an hour {6}no limit[\s\S]*hosts {14}any/,
  );
  expect(await say('limit', 'trust', 'prj_none', '--private')).toMatch(/^4 /);
});
