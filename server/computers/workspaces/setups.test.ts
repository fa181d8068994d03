import { expect, test } from 'vitest';
import { discoverSetup, setupKey } from './setups.ts';

const discover = (files: Record<string, string>) => discoverSetup(async (name) => files[name] ?? null);

test.each([
  [{ 'package.json': '{}', 'package-lock.json': '{}' }, ['npm ci --no-audit --no-fund']],
  [{ 'package.json': '{}' }, []],
  [
    { 'package.json': '{"devDependencies": {"x": "1"}}' },
    ['npm install --no-package-lock --no-audit --no-fund'],
  ],
  [{ 'package.json': '{}', 'pnpm-lock.yaml': '' }, ['npx --yes pnpm install --frozen-lockfile']],
  [
    { 'package.json': '{"packageManager": "pnpm@9.1.0+sha512.abc"}', 'pnpm-lock.yaml': '' },
    ['npx --yes pnpm@9.1.0 install --frozen-lockfile'],
  ],
  [
    { 'package.json': '{}', 'yarn.lock': '# yarn lockfile v1' },
    ['npx --yes yarn@1 install --frozen-lockfile'],
  ],
  [
    { 'package.json': '{}', 'yarn.lock': '__metadata:\n  version: 8' },
    ['npx --yes @yarnpkg/cli-dist install --immutable'],
  ],
  [{ 'requirements.txt': 'x' }, ['python3 -m venv .venv', '.venv/bin/pip install -r requirements.txt']],
  [{ 'pyproject.toml': '[project]\nname="x"' }, ['python3 -m venv .venv', '.venv/bin/pip install -e .']],
  [{ 'pyproject.toml': '[tool.black]\n' }, []],
  [{ 'go.mod': '', 'go.sum': '' }, ['go mod download']],
  [{ 'Cargo.toml': '', 'Cargo.lock': '' }, ['cargo fetch --locked']],
  [{}, []],
])('the set-up of %o', async (files, commands) => {
  const found = await discover(files);
  expect(found.commands).toEqual(commands);
  for (const lockfile of found.lockfiles) expect(Object.keys(files)).toContain(lockfile);
});

test('two languages are both set up', async () => {
  const found = await discover({ 'package.json': '{}', 'package-lock.json': '', 'go.mod': '', 'go.sum': '' });
  expect(found.commands).toEqual(['npm ci --no-audit --no-fund', 'go mod download']);
});

test('the key follows all that decides the result, and not the order of the files', () => {
  const request = {
    repository: 'r',
    commands: ['npm ci'],
    lockfiles: [
      { path: 'a', content: '1' },
      { path: 'b', content: '2' },
    ],
    nodeVersion: '24',
    architecture: 'x64',
  };
  const key = setupKey(request);
  expect(key).toMatch(/^[0-9a-f]{16}$/);
  expect(setupKey({ ...request, lockfiles: request.lockfiles.toReversed() })).toBe(key);
  const others = [
    { ...request, repository: 's' },
    { ...request, commands: ['npm', 'ci'] },
    { ...request, lockfiles: [{ path: 'a', content: '12' }] },
    { ...request, nodeVersion: '26' },
    { ...request, architecture: 'arm64' },
  ].map(setupKey);
  expect(new Set([key, ...others]).size).toBe(6);
});
