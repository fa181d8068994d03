import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { foldersNamedIn, inFolder } from '../domain/checks/check-folders.ts';
import { pinnedOverrides } from '../domain/checks/pinned-overrides.ts';
import { pinnedPaths } from '../domain/checks/pinned-paths.ts';
import {
  type CommitFiles,
  findCheckCommands,
  findLockfiles,
  findSetupCommands,
  requireFolder,
} from './project-parts.ts';

const filesOf = (files: Record<string, string>): CommitFiles => ({
  paths: Object.keys(files),
  read: async (path) => files[path] ?? null,
});
const manifest = (more: Record<string, unknown> = {}) =>
  JSON.stringify({ name: 'x', scripts: { test: 'node --test' }, dependencies: { leaf: '1' }, ...more });
const npm = 'npm ci --no-audit --no-fund';

describe('a line that runs in a folder', () => {
  test('starts nothing where the folder is missing, whatever the line holds', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lines-'));
    mkdirSync(join(folder, "a b'c"));
    const run = (line: string) => execFileSync('sh', ['-c', line], { cwd: folder, encoding: 'utf8' });
    try {
      for (const command of ['pwd', 'false; pwd', 'false || pwd', 'pwd # yes', "cat <<X\n/a b'c\nX"]) {
        expect(run(inFolder("a b'c", command))).toMatch(/\/a b'c\n$/);
        const missing = execFileSync('sh', ['-c', `${inFolder('gone', command)}\ntrue`], {
          cwd: folder,
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        expect(missing).toBe('');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('tells which folder it is, and nothing that leads out', () => {
    expect(
      foldersNamedIn([inFolder('packages/a', 'x'), inFolder('b c', 'x; y'), 'cd ../out && x', 'x']),
    ).toEqual(['packages/a', 'b c']);
    expect(foldersNamedIn(['cd / && x', 'cd "$HOME" && x', 'cd .git/hooks && x', 'cd ./a/ && x'])).toEqual([
      'a',
    ]);
  });
});

describe('the set-up of a folder', () => {
  const lock = { 'package.json': manifest({ workspaces: ['packages/*'] }), 'package-lock.json': '{}' };

  test('is the lockfile of its own, else the nearest above it', async () => {
    const files = filesOf({
      ...lock,
      'packages/a/package.json': manifest(),
      'apps/b/package.json': manifest(),
      'apps/b/package-lock.json': '{}',
    });
    expect(await findSetupCommands(files, 'packages/a', [])).toEqual([npm]);
    expect(await findSetupCommands(files, 'apps/b', [])).toEqual([`cd apps/b && ${npm}`]);
    expect(await findSetupCommands(files, '', [])).toEqual([npm]);
    expect(await findSetupCommands(files, '', ['cd apps/b && npm test'])).toEqual([
      npm,
      `cd apps/b && ${npm}`,
    ]);
  });

  test('is its own besides where the lockfile above is of no workspace', async () => {
    const files = filesOf({
      'package.json': manifest(),
      'package-lock.json': '{}',
      'tools/package.json': manifest(),
    });
    expect(await findSetupCommands(files, 'tools', [])).toEqual([
      npm,
      'cd tools && npm install --no-package-lock --no-audit --no-fund',
    ]);
  });

  test('is that of its parts where it has none, examples aside', async () => {
    const files = filesOf({
      'README.md': '',
      'web/package.json': manifest(),
      'web/package-lock.json': '{}',
      'api/go.mod': '',
      'api/go.sum': 'sum',
      'examples/x/package.json': manifest(),
      'examples/x/package-lock.json': '{}',
      'web/node_modules/y/package-lock.json': '{}',
    });
    const commands = await findSetupCommands(files, '', []);
    expect(commands).toEqual(['cd api && go mod download', `cd web && ${npm}`]);
    const lockfiles = (await findLockfiles(files, commands)).map((file) => file.path);
    expect(lockfiles.sort()).toEqual([
      'api/go.mod',
      'api/go.sum',
      'web/package-lock.json',
      'web/package.json',
    ]);
  });
});

describe('the checks of a folder', () => {
  test('are found there, by the package manager of its workspace', async () => {
    const files = filesOf({
      'package.json': JSON.stringify({ workspaces: ['packages/*'] }),
      'pnpm-lock.yaml': '',
      'packages/a/package.json': manifest(),
      'services/s/pytest.ini': '',
    });
    expect((await findCheckCommands(files, 'packages/a')).checks).toEqual(['cd packages/a && pnpm test']);
    expect((await findCheckCommands(files, '')).checks).toEqual([
      'cd packages/a && pnpm test',
      'cd services/s && python3 -m pytest',
    ]);
  });

  test('need the folder', () => {
    const files = filesOf({ 'packages/core/x.js': '' });
    expect(() => requireFolder(files, 'core', '/repo (main)')).toThrow(
      '/repo (main) has no folder core; there are packages/core: give another with --folder',
    );
    requireFolder(files, 'packages', '/repo');
  });
});

test('what decides the checks of a folder is pinned there as at the root', async () => {
  const checkCommands = [inFolder('packages/a', 'node scripts/verify && npm test')];
  const changed = ['packages/a/scripts/verify.js', 'packages/a/package.json', 'packages/b/scripts/verify.js'];
  const pinned = pinnedPaths({
    basePaths: ['packages/a/scripts/verify.js'],
    changedPaths: changed.map((path) => ({ path, status: 'modified' })),
    checkCommands,
    scriptsText: '',
  });
  expect(pinned.configuration).toEqual(['packages/a/package.json', 'packages/a/scripts/verify.js']);
  const added = Buffer.from('{"scripts":{"test":"exit 0"}}');
  const override = await pinnedOverrides({
    pinned,
    folders: foldersNamedIn(checkCommands),
    readBase: async () => null,
    readHead: async () => added,
  });
  expect(override?.get('packages/a/package.json')).toBeNull();
});
