import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { fullActor } from '../actor.ts';
import { fillHeader } from './broker.ts';
import { createCredential } from './brokered.ts';
import { resealAll } from './reseal.ts';
import { openVault } from './vault.ts';
import { readVaultKey } from './vault-key.ts';

const token = 'hvs.test-token-0123456789';
const key = randomBytes(32);
const kept = randomBytes(32).toString('base64');
const asked: string[] = [];

/** Speaks HashiCorp Vault's HTTP protocol as its documentation gives it: no Vault is here to be asked. */
const hashicorp = createServer(async (request, response) => {
  const body: { ciphertext?: string } = JSON.parse((await text(request)) || '{}');
  asked.push(`${request.method} ${request.url} ${request.headers['x-vault-namespace'] ?? ''}`);
  const answer = (status: number, data: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(data));
  };
  if (request.headers['x-vault-token'] !== token) return answer(403, { errors: ['permission denied'] });
  if (request.url === '/v1/secret/data/mission/keys') {
    return answer(200, { data: { data: { key: kept }, metadata: { version: 1 } } });
  }
  if (request.url === '/v1/transit/datakey/plaintext/mission') {
    const plaintext = randomBytes(32);
    return answer(200, { data: { plaintext: plaintext.toString('base64'), ciphertext: wrap(plaintext) } });
  }
  if (request.url === '/v1/transit/decrypt/mission') {
    return answer(200, { data: { plaintext: open(body.ciphertext ?? '').toString('base64') } });
  }
  return answer(404, { errors: [] });
});

const wrap = (plaintext: Buffer) => {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return `vault:v1:${Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64')}`;
};
const open = (ciphertext: string) => {
  const bytes = Buffer.from(ciphertext.replace('vault:v1:', ''), 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
};

let store: TestDatabase;
let address: string;
let folder: string;
beforeAll(async () => {
  hashicorp.listen(0, '127.0.0.1');
  await once(hashicorp, 'listening');
  address = `http://127.0.0.1:${(hashicorp.address() as AddressInfo).port}`;
  store = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'vault-key-'));
});
afterAll(async () => {
  hashicorp.closeAllConnections();
  hashicorp.close();
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
const parts = (more = {}) => ({
  database: store.database,
  hashicorp: { address, token, namespace: 'team', ...more },
  fetch,
});
const noFile = () => join(folder, 'none');

test('a key comes from the environment, a file or the key-value engine of HashiCorp Vault', async () => {
  expect(await readVaultKey(null, parts())).toBeNull();
  expect(await readVaultKey(kept, parts())).toBe(kept);
  const file = join(folder, 'keys');
  await writeFile(file, `${kept}\n`);
  expect(await readVaultKey(`file:${file}`, parts())).toBe(`${kept}\n`);
  expect(await readVaultKey('hashicorp-kv:secret/mission/keys#key', parts())).toBe(kept);
  expect(asked).toContain('GET /v1/secret/data/mission/keys team');
});

test('the transit engine wraps keys that the database keeps; what they seal opens after a restart', async () => {
  const both = await Promise.all([1, 2].map(() => readVaultKey('hashicorp-transit:mission', parts())));
  expect(both[0]).toBe(both[1]);
  const sealed = openVault({ given: both[0] ?? null, file: noFile() }).seal('a', 'a secret');
  const again = await readVaultKey('hashicorp-transit:mission', parts());
  expect(openVault({ given: again, file: noFile() }).open('a', sealed)).toBe('a secret');
  const rows = await store.database.many(sql`SELECT ciphertext FROM wrapped_vault_keys`);
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain(again);
});

test.each([
  ['hashicorp-kv:secret/mission/keys#other', {}, 'no field other'],
  ['hashicorp-kv:secret/none#key', {}, 'there is no such thing'],
  ['hashicorp-kv:nonsense', {}, 'hashicorp-kv:MOUNT/PATH#FIELD'],
  ['hashicorp-transit:mission', { token: 'wrong' }, 'the token may not do that'],
  ['hashicorp-transit:mission', { address: 'http://vault.example' }, 'must be an https:// address'],
  ['hashicorp-transit:mission', { address: 'http://127.0.0.1:1' }, 'cannot be reached'],
  ['file:/nowhere/keys', {}, '/nowhere/keys cannot be read'],
])('%s is refused with what to do', async (given, more, words) => {
  await expect(readVaultKey(given, parts(more))).rejects.toThrow(words);
});

test('without its address a key in HashiCorp Vault is refused', async () => {
  await expect(readVaultKey('hashicorp-kv:a/b#c', { ...parts(), hashicorp: null })).rejects.toThrow(
    'VAULT_ADDR',
  );
});

test('credentials are sealed anew with a new key, and open with it alone', async () => {
  const [before, after] = [kept, randomBytes(32).toString('base64')];
  const owner = fullActor({ id: 'prn_1', name: 'owner', role: 'admin' });
  const old = openVault({ given: before, file: noFile() });
  const body = {
    name: 'x',
    host: 'a.example',
    port: 443,
    header: 'X-Key: {}',
    insecure: false,
    value: 'the secret',
  };
  await createCredential({ database: store.database, vault: old }, owner, body);
  const both = openVault({ given: `${after},${before}`, file: noFile() });
  expect(await resealAll(store.database, both, owner)).toMatchObject({ resealed: 1 });
  expect(await resealAll(store.database, both, owner)).toMatchObject({ resealed: 0 });
  const row = await store.database.one<{ sealed: Buffer; keyId: string }>(
    sql`SELECT sealed, key_id AS "keyId" FROM brokered_credentials WHERE name = 'x'`,
  );
  expect(openVault({ given: after, file: noFile() }).open('brokered x', row)).toBe('the secret');
  expect(() => old.open('brokered x', row)).toThrow();
});

test('a header is filled in its place, for git with its user', () => {
  expect(fillHeader('Authorization: Bearer {}', 'a$&b')).toEqual({
    name: 'Authorization',
    value: 'Bearer a$&b',
    secrets: ['a$&b'],
  });
  const pair = Buffer.from('x-access-token:abc').toString('base64');
  expect(fillHeader('Authorization: Basic {basic x-access-token}', 'abc')).toMatchObject({
    value: `Basic ${pair}`,
    secrets: ['abc', pair],
  });
});
