import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedKey, KeyView } from '../../contract/principals.ts';
import { House } from '../e2e/house.ts';
import { mission } from '../mission.ts';
import { fetchAs } from './people.ts';

let house: House;
let home: string;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
  home = join(house.folder, 'home');
});
afterAll(() => house[Symbol.asyncDispose]());

test('a key is made, seen in the list without itself, and revoked', async () => {
  const made = await mission(home, [
    'key',
    'create',
    '--role',
    'operator',
    '--name',
    'ci',
    '--expires',
    '30d',
  ]);
  expect(made.status, made.stderr).toBe(0);
  const key = made.stdout.trim();
  expect(key).toMatch(/^mc_[\w-]{43}$/);
  expect(made.stderr).not.toContain(key);
  expect((await fetchAs(house, key, '/api/v1/tasks')).status).toBe(200);
  expect((await fetchAs(house, key, '/api/v1/principals')).status).toBe(403);

  const listed = await mission(home, ['key', 'list']);
  const line = listed.stdout.split('\n').find((each) => each.includes('ci (operator)')) ?? '';
  expect(line).toMatch(/^key_\w{17} {2}ci \(operator\), ci; until \d{4}-\d\d-\d\d \d\d:\d\d; last used /);
  expect(listed.stdout).not.toContain(key);

  const revoked = await mission(home, ['key', 'revoke', line.slice(0, 21)]);
  expect([revoked.status, revoked.stdout]).toEqual([0, `${line.slice(0, 21)} is revoked.\n`]);
  expect((await fetchAs(house, key, '/api/v1/tasks')).status).toBe(401);
  const all: KeyView[] = JSON.parse((await mission(home, ['key', 'list', '--all', '--json'])).stdout);
  expect(all.find(({ id }) => id === line.slice(0, 21))?.revokedAt).not.toBeNull();
});

test('a key is narrowed by scope, and what makes no sense is said', async () => {
  const args = ['key', 'create', '--scope', 'tasks:read, runs:read', '--label', 'reports', '--json'];
  const made: CreatedKey = JSON.parse((await mission(home, args)).stdout);
  expect(made).toMatchObject({ label: 'reports', scopes: ['tasks:read', 'runs:read'] });
  expect((await fetchAs(house, made.key, '/api/v1/runs')).status).toBe(200);
  expect((await fetchAs(house, made.key, '/api/v1/asks')).status).toBe(403);
  for (const [wrong, said] of [
    [['--scope', 'everything'], 'scopes'],
    [['--expires', 'soon'], '30d'],
    [['--role', 'agent'], 'role'],
  ] as const) {
    const { status, stderr } = await mission(home, ['key', 'create', ...wrong]);
    expect([status, stderr]).toEqual([2, expect.stringContaining(said)]);
  }
});

test('a person is added, changed, kept out and let in again', async () => {
  const added = await mission(home, ['principal', 'add', 'vera', '--role', 'viewer']);
  expect([added.status, added.stdout]).toEqual([0, 'vera  human, viewer; all projects\n']);
  const changed = await mission(home, ['principal', 'set', 'vera', '--role', 'operator']);
  expect(changed.stdout).toBe('vera  human, operator; all projects\n');
  const out = await mission(home, ['principal', 'disable', 'vera']);
  expect(out.stdout).toBe('vera  human, operator; all projects; disabled\n');
  const { stdout } = await mission(home, ['principal', 'list']);
  expect(stdout).toMatch(/^owner {2}human, admin; all projects/m);
  expect((await mission(home, ['principal', 'set', 'owner', '--role', 'viewer'])).status).toBe(4);
  expect((await mission(home, ['principal', 'set', 'vera'])).status).toBe(2);
});

test('a password comes from standard input alone', async () => {
  expect((await setPassword('too short\n')).status).toBe(2);
  const set = await setPassword('a long enough password\n');
  expect([set.status, set.stdout]).toEqual([0, 'owner logs in with this password from now on.\n']);
  const begun = await fetchAs(house, null, '/api/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'owner', password: 'a long enough password' }),
  });
  expect(begun.status).toBe(200);
  expect((await mission(home, ['password', 'set', 'a long enough password'])).status).toBe(2);
});

function setPassword(input: string): Promise<{ status: number; stdout: string }> {
  const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], MISSION_HOME: home };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, 'password', 'set'],
      { env, timeout: 60_000 },
      (error, stdout) => resolve({ status: error === null ? 0 : Number(error.code), stdout }),
    );
    child.stdin?.end(input);
  });
}
