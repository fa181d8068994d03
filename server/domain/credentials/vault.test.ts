import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openVault } from './vault.ts';

const secret = 'sk-secret-0123456789';
const newKey = () => randomBytes(32).toString('base64');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vault-'));
});
afterAll(() => rm(folder, { recursive: true }));
const noFile = () => join(folder, 'none');

test('what is sealed opens again, and never looks the same twice', () => {
  const vault = openVault({ given: newKey(), file: noFile() });
  const first = vault.seal('groq', secret);
  const second = vault.seal('groq', secret);
  expect(first.sealed.equals(second.sealed)).toBe(false);
  expect(first.sealed.includes(secret)).toBe(false);
  expect(vault.open('groq', first)).toBe(secret);
  expect(vault.open('groq', second)).toBe(secret);
});

test('another key, another name and changed bytes are told apart, and say what to do', () => {
  const vault = openVault({ given: newKey(), file: noFile() });
  const sealed = vault.seal('groq', secret);
  const other = openVault({ given: newKey(), file: noFile() });
  expect(() => other.open('groq', sealed)).toThrow(
    new RegExp(`sealed with the vault key ${sealed.keyId}, which MISSION_VAULT_KEY does not hold`),
  );
  expect(() => vault.open('openai', sealed)).toThrow('was changed or is damaged');
  const changed = Buffer.from(sealed.sealed);
  changed.writeUInt8(changed.readUInt8(30) ^ 1, 30);
  expect(() => vault.open('groq', { ...sealed, sealed: changed })).toThrow('was changed or is damaged');
});

test('a new key before the old one seals, and both open', () => {
  const [before, after] = [newKey(), newKey()];
  const old = openVault({ given: before, file: noFile() });
  const sealed = old.seal('groq', secret);
  const rotated = openVault({ given: `${after},${before}`, file: noFile() });
  expect(rotated.open('groq', sealed)).toBe(secret);
  const anew = rotated.seal('groq', secret);
  expect(anew.keyId).not.toBe(sealed.keyId);
  expect(openVault({ given: after, file: noFile() }).open('groq', anew)).toBe(secret);
});

test('the file is made at the first use, for its owner alone, and shared by every process', async () => {
  const file = join(folder, 'vault.key');
  const [one, other] = [openVault({ given: null, file }), openVault({ given: null, file })];
  expect(one.currentKeyId()).toBeUndefined();
  const sealed = one.seal('groq', secret);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(other.open('groq', sealed)).toBe(secret);
  expect(openVault({ given: null, file }).seal('x', secret).keyId).toBe(sealed.keyId);
  await chmod(file, 0o644);
  expect(() => openVault({ given: null, file })).toThrow(`chmod 600 ${file}`);
});

test('a key that is none is refused without being repeated', async () => {
  expect(() => openVault({ given: 'my-password', file: noFile() })).toThrow(
    'MISSION_VAULT_KEY: key 1 must be 32 bytes',
  );
  expect(() => openVault({ given: 'my-password', file: noFile() })).not.toThrow('my-password');
  await expect(readFile(noFile())).rejects.toThrow();
});
