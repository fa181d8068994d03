import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { type Actor, fullActor } from '../actor.ts';
import { resealCredentials } from './change-providers.ts';
import { ProviderRegistry } from './provider-registry.ts';
import type { ConfiguredProvider } from './providers.ts';
import { openVault } from './vault.ts';

const admin: Actor = fullActor({ id: 'p', name: 'owner', role: 'admin' });
const viewer: Actor = fullActor({ id: 'v', name: 'somebody', role: 'viewer' });
const secret = 'sk-secret-0123456789';
const newKey = () => randomBytes(32).toString('base64');
const fromEnvironment: ConfiguredProvider = {
  name: 'anthropic',
  kind: 'anthropic',
  baseURL: 'https://api.anthropic.com/v1',
  apiKey: 'sk-environment',
  requestsPerMinute: null,
};

let made: TestDatabase;
beforeAll(async () => {
  made = await createTestDatabase();
});
afterAll(() => made[Symbol.asyncDispose]());
beforeEach(async () => {
  await made.database.many(sql`DELETE FROM providers`);
  await made.database.many(sql`DELETE FROM credentials`);
});

function open(options: { key?: string; configured?: ConfiguredProvider[] } = {}): ProviderRegistry {
  const vault = openVault({ given: options.key ?? newKey(), file: '/nowhere/vault.key' });
  return new ProviderRegistry({ database: made.database, configured: options.configured ?? [], vault });
}

async function keyOf(registry: ProviderRegistry, name: string): Promise<string | null | undefined> {
  return (await registry.connections()).find((provider) => provider.name === name)?.apiKey;
}

test('a key is sealed, used, and never shown: not in answers, not in events, not in the database', async () => {
  const registry = open();
  const view = await registry.put(admin, 'openai', { kind: 'openai', apiKey: secret });
  expect(view).toEqual({
    name: 'openai',
    kind: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    connected: true,
    keyFrom: 'vault',
    requestsPerMinute: null,
    problem: null,
  });
  expect(await keyOf(registry, 'openai')).toBe(secret);
  const rows = await made.database.many(
    sql`SELECT data::text AS text FROM event_outbox UNION ALL SELECT row_to_json(providers)::text FROM providers
        UNION ALL SELECT encode(sealed, 'escape') FROM credentials`,
  );
  expect(JSON.stringify(rows)).not.toContain(secret);
});

test('a change holds at the next call in another process', async () => {
  const key = newKey();
  const [one, other] = [open({ key }), open({ key })];
  await one.put(admin, 'groq', {
    kind: 'openai-compatible',
    baseUrl: 'http://127.0.0.1:1',
    apiKey: secret,
    requestsPerMinute: 30,
  });
  expect(await other.connections()).toMatchObject([
    { name: 'groq', baseURL: 'http://127.0.0.1:1/v1', apiKey: secret, problem: null },
  ]);
  expect([...(await other.limits())]).toEqual([['groq', 30]]);
  await other.remove(admin, 'groq');
  expect(await one.connections()).toEqual([]);
  await expect(one.remove(admin, 'groq')).rejects.toMatchObject({ code: 'not_found' });
});

test('a key goes only where it was given for', async () => {
  const registry = open({ configured: [fromEnvironment] });
  expect(await keyOf(registry, 'anthropic')).toBe('sk-environment');
  await registry.put(admin, 'anthropic', { kind: 'anthropic', baseUrl: 'http://elsewhere.example' });
  expect(await keyOf(registry, 'anthropic')).toBeNull();
  await registry.put(admin, 'anthropic', { kind: 'anthropic', apiKey: secret });
  expect(await keyOf(registry, 'anthropic')).toBe(secret);
  await registry.put(admin, 'anthropic', { kind: 'anthropic', requestsPerMinute: 5 });
  expect(await keyOf(registry, 'anthropic')).toBe(secret);
  await registry.put(admin, 'anthropic', { kind: 'anthropic', baseUrl: 'http://attacker.example' });
  expect(await keyOf(registry, 'anthropic')).toBeNull();
  await registry.remove(admin, 'anthropic');
  expect(await keyOf(registry, 'anthropic')).toBe('sk-environment');
  await expect(registry.remove(admin, 'anthropic')).rejects.toThrow('comes from the environment');
});

test('a vault key that is missing stops its provider alone, with what to do', async () => {
  await open({ key: newKey() }).put(admin, 'openai', { kind: 'openai', apiKey: secret });
  const other = open({ configured: [fromEnvironment] });
  const [anthropic, openai] = await other.views();
  expect(anthropic).toMatchObject({ connected: true, keyFrom: 'environment' });
  expect(openai).toMatchObject({ connected: false, problem: expect.stringContaining('MISSION_VAULT_KEY') });
});

test('what an older vault key sealed is sealed anew with the current one', async () => {
  const [before, after] = [newKey(), newKey()];
  await open({ key: before }).put(admin, 'openai', { kind: 'openai', apiKey: secret });
  const rotated = openVault({ given: `${after},${before}`, file: '/nowhere' });
  expect(await resealCredentials(made.database, rotated)).toBe(1);
  expect(await resealCredentials(made.database, rotated)).toBe(0);
  expect(await keyOf(open({ key: after }), 'openai')).toBe(secret);
});

test('viewers change nothing, and what cannot work is refused', async () => {
  const registry = open();
  const body = { kind: 'openai' as const, apiKey: secret };
  await expect(registry.put(viewer, 'openai', body)).rejects.toMatchObject({ code: 'forbidden' });
  await expect(registry.remove(viewer, 'openai')).rejects.toMatchObject({ code: 'forbidden' });
  await expect(registry.putPrice(viewer, 'openai/x', { input: 1, output: 1 })).rejects.toMatchObject({
    code: 'forbidden',
  });
  await expect(registry.put(admin, 'ollama', { kind: 'openai-compatible' })).rejects.toThrow(
    'needs a baseUrl',
  );
  const named = { kind: 'openai' as const, baseUrl: 'https://me:secret@example.com' };
  await expect(registry.put(admin, 'openai', named)).rejects.toThrow('no name or password');
});

test('the newest price holds, and the earlier ones stay', async () => {
  const registry = open();
  await registry.putPrice(admin, 'groq/a', { input: 1, output: 2, asOf: '2026-01-31' });
  expect(await registry.prices()).toEqual({
    'groq/a': { input: 1, cachedInput: 1, output: 2, asOf: '2026-01-31' },
  });
  await registry.putPrice(admin, 'groq/a', { input: 3, cachedInput: 0.5, cacheWrite: 4, output: 2 });
  expect((await registry.prices())['groq/a']).toMatchObject({ input: 3, cachedInput: 0.5, cacheWrite: 4 });
  const kept = await made.database.many(
    sql`SELECT input FROM model_prices WHERE model = 'groq/a' ORDER BY id`,
  );
  expect(kept).toEqual([{ input: 1 }, { input: 3 }]);
});
