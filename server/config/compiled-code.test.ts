import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homeFolder } from './compiled-code.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compiled-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const program = `
  const { keepCompiledCode } = await import(process.argv[1]);
  keepCompiledCode(process.env);
  await import(process.argv[2]);
`;

function start(home: string): void {
  const modules = ['compiled-code.ts', '../errors.ts'].map((name) => join(import.meta.dirname, name));
  execFileSync(process.execPath, ['--input-type=module', '-e', program, ...modules], {
    env: { PATH: process.env['PATH'], MISSION_HOME: home },
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 30_000,
  });
}

test('what was compiled stays in the home, readable to its owner alone', () => {
  const home = join(folder, 'home');
  start(home);
  expect(statSync(home).mode & 0o077).toBe(0);
  expect(readdirSync(join(home, 'compiled'), { recursive: true }).length).toBeGreaterThan(1);
});

test.skipIf(process.getuid?.() !== 0)('a home of somebody else is left as it is', () => {
  chownSync(folder, 12_345, 12_345);
  start(folder);
  expect(readdirSync(folder)).toEqual([]);
});

test('a home that cannot be made is for others to complain of', () => {
  writeFileSync(join(folder, 'file'), '');
  start(join(folder, 'file', 'home'));
  start('relative');
  expect(existsSync('relative')).toBe(false);
});

test('an empty setting is none', () => {
  expect(homeFolder({ MISSION_HOME: '' })).toBe(homeFolder({}));
  expect(homeFolder({ MISSION_HOME: '/srv/mission' })).toBe('/srv/mission');
});
