import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import {
  type AgentProfile,
  findAgent,
  findPrincipalByKey,
  issueOwnerKey,
  listAgentNames,
  registerAgent,
} from './principals.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());

const profile: AgentProfile = {
  name: 'ada',
  role: 'developer',
  prompt: 'Work.',
  model: 'recorded/a',
  playbook: 'coder',
  policy: [{ effect: 'allow', tool: '*' }],
};

test('the owner has one live key for a place: the newest; none of them is stored', async () => {
  const elsewhere = await issueOwnerKey(home.database, 'there');
  const first = await issueOwnerKey(home.database, 'here');
  expect([elsewhere.first, first.first]).toEqual([true, false]);
  expect(await findPrincipalByKey(home.database, first.key)).toMatchObject({ name: 'owner', role: 'admin' });
  const second = await issueOwnerKey(home.database, 'here');
  expect(await findPrincipalByKey(home.database, first.key)).toBeUndefined();
  for (const { key } of [second, elsewhere])
    expect(await findPrincipalByKey(home.database, key)).toMatchObject({ name: 'owner' });
  expect(await findPrincipalByKey(home.database, `${second.key}x`)).toBeUndefined();
  const keys = await home.database.many(sql`SELECT * FROM api_keys`);
  expect(JSON.stringify(keys)).not.toContain(second.key.slice(3));
});

test('several servers that start at once in one place leave one live key', async () => {
  const issued = await Promise.all(Array.from({ length: 4 }, () => issueOwnerKey(home.database, 'here')));
  const found = await Promise.all(issued.map(({ key }) => findPrincipalByKey(home.database, key)));
  expect(found.filter((actor) => actor !== undefined)).toHaveLength(1);
});

test('an agent is registered once, and its profile brought up to date', async () => {
  await Promise.all([registerAgent(home.database, profile), registerAgent(home.database, profile)]);
  const before = await findAgent(home.database, 'ada');
  await registerAgent(home.database, { ...profile, model: 'recorded/b', policy: [] });
  const after = await findAgent(home.database, before?.id ?? '');
  expect(after).toMatchObject({ id: before?.id, model: 'recorded/b', policy: [] });
  expect(await listAgentNames(home.database)).toEqual(['ada']);
  const events = await home.database.many(sql`SELECT 1 FROM event_outbox WHERE type = 'agent.registered'`);
  expect(events).toHaveLength(1);
});
