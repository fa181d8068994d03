import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { openLog } from '../../log.ts';
import { VirtualClock } from '../../runs/runs-fixture.ts';
import { Timers } from '../../runs/timers.ts';
import { fullActor } from '../actor.ts';
import { findPrincipalByKey } from '../principals/principals.ts';
import { admin, House } from '../tasks/tasks-fixture.ts';
import { getAgent, listAgents, registerForeignAgent, updateAgent } from './agents.ts';
import { heartbeatAgent, noticeSilence, resumeAgent, suspendAgent } from './presence.ts';

let home: TestDatabase;
let house: House;
const clock = new VirtualClock();
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
  house = await House.open(home.database, { now: () => clock.now() });
});
afterAll(() => home[Symbol.asyncDispose]());

const told = async (agentId: string) => {
  const rows = await home.database.many<{ type: string }>(
    sql`SELECT type FROM event_outbox WHERE entity_id = ${agentId} ORDER BY position`,
  );
  return rows.map(({ type }) => type);
};
const nothing = async () => undefined;
const openTimers = () =>
  new Timers({
    database: home.database,
    clock,
    log: openLog('silent'),
    handlers: {
      'agent.silence': (transaction, id) => noticeSilence(transaction, id, clock.now()),
      'ask.deadline': nothing,
      'run.reminder': nothing,
      'task.deadline': nothing,
      'task.reminder': nothing,
    },
  });

test('two missed heartbeats make an agent offline; the next sign of life brings it back', async () => {
  const agent = await house.hire({ heartbeatSeconds: 10 });
  const status = async () => (await getAgent(home.database, agent.name)).status;
  await using timers = openTimers();
  const pass = async (ms: number) => {
    clock.advance(ms);
    while (await timers.fireOne());
  };
  expect(await status()).toBe('offline');
  await heartbeatAgent(house.context, agent, agent.name);
  expect(await status()).toBe('idle');
  await pass(19_000);
  await heartbeatAgent(house.context, agent, agent.id);
  await pass(19_999);
  expect(await status()).toBe('idle');
  await pass(2);
  expect(await status()).toBe('offline');
  await house.give();
  const [claim] = await house.claim(agent);
  expect(claim).toBeDefined();
  expect(await status()).toBe('busy');
  await pass(21_000);
  expect(await told(agent.id)).toEqual([
    'agent.registered',
    'agent.online',
    'agent.offline',
    'agent.online',
    'agent.offline',
  ]);
});

test('an agent tells only of itself, and changes nothing about itself', async () => {
  const [one, two] = [await house.hire(), await house.hire()];
  const forbidden = { code: 'forbidden' };
  await expect(heartbeatAgent(house.context, one, two.name)).rejects.toMatchObject(forbidden);
  await expect(updateAgent(home.database, one, one.name, { capacity: 9 })).rejects.toMatchObject(forbidden);
  await expect(suspendAgent(house.context, one, two.name, '')).rejects.toMatchObject(forbidden);
  await expect(registerForeignAgent(home.database, one, { name: 'three' })).rejects.toMatchObject(forbidden);
  await expect(heartbeatAgent(house.context, admin, 'developer')).rejects.toMatchObject({
    code: 'unprocessable',
  });
  const updated = await updateAgent(home.database, admin, one.name, { capacity: 4, skills: ['a'] }, 1);
  expect(updated).toMatchObject({ capacity: 4, skills: ['a'], version: 2 });
  await expect(updateAgent(home.database, admin, one.name, { capacity: 5 }, 1)).rejects.toMatchObject({
    code: 'precondition_failed',
  });
});

test('a registered agent enters with its key, and its name is taken', async () => {
  const { agent, key } = await registerForeignAgent(home.database, admin, { name: 'crawler' });
  expect(await findPrincipalByKey(home.database, key ?? '')).toMatchObject({ id: agent.id, role: 'agent' });
  const again = registerForeignAgent(home.database, admin, { name: 'crawler' });
  await expect(again).rejects.toMatchObject({ code: 'conflict' });
  const listed = await listAgents(home.database, { runtime: 'foreign', limit: 100 });
  expect(listed.map(({ name }) => name)).toContain('crawler');
  const self = fullActor({ id: agent.id, name: 'crawler', role: 'agent' });
  expect(await registerForeignAgent(home.database, self, { name: 'crawler' })).toMatchObject({ key: null });
});

test('the runs of a suspended agent pause, those queued meanwhile as well, and go on with it', async () => {
  const before = await house.give({ repository: '/srv/two' });
  await suspendAgent(house.context, admin, 'developer', 'a look');
  const during = await house.give({ repository: '/srv/two' });
  const controls = () =>
    home.database.many<{ control: string }>(
      sql`SELECT control FROM runs WHERE task_id IN (${before.task.id}, ${during.task.id})`,
    );
  expect(await controls()).toEqual([{ control: 'pause' }, { control: 'pause' }]);
  expect(await getAgent(home.database, 'developer')).toMatchObject({
    status: 'suspended',
    suspendedBy: 'ada',
  });
  await resumeAgent(house.context, admin, 'developer');
  expect(await controls()).toEqual([{ control: 'go' }, { control: 'go' }]);
});
