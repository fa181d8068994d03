import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeOver } from '../gate.ts';
import { GateClosed, type Sandbox } from '../sandbox.ts';
import { type CleanRoom, openCleanRoom } from './clean-room.ts';
import { type Git, openGit } from './git.ts';
import { openPreparedSetups, type PreparedSetups } from './prepared-setup.ts';
import { openRepositories, type RepositoryHandle } from './repositories.ts';
import { makeRepository, never, openTestSandbox, scratchFolder } from './test-repository.ts';
import { openWorkspaces, type Workspaces } from './workspace.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
let sandbox: Sandbox;
let ours: Git;
let setups: PreparedSetups;
let room: CleanRoom;
let workspaces: Workspaces;
let repository: RepositoryHandle;
let commit: string;

const source = {
  'package.json': JSON.stringify({ name: 'root', version: '1.0.0', dependencies: { leaf: 'file:leaf' } }),
  'package-lock.json': JSON.stringify({
    name: 'root',
    version: '1.0.0',
    lockfileVersion: 3,
    packages: {
      '': { name: 'root', version: '1.0.0', dependencies: { leaf: 'file:leaf' } },
      leaf: { version: '1.0.0' },
      'node_modules/leaf': { resolved: 'leaf', link: true },
    },
  }),
  'leaf/package.json': JSON.stringify({ name: 'leaf', version: '1.0.0', main: 'index.js' }),
  'leaf/index.js': 'module.exports = 42;\n',
  'packages/a/x.txt': 'x\n',
  '.gitignore': 'node_modules\n',
};

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  ours = await openGit(at('home'), sandbox);
  makeRepository(at('source'), source);
  ({ repository, commit } = await openRepositories(at('home'), ours).fetch(
    { location: at('source') },
    never,
  ));
  setups = openPreparedSetups({ home: at('home'), sandbox, git: ours });
  room = await openCleanRoom({ home: at('home'), sandbox, git: ours });
  workspaces = openWorkspaces({ home: at('home'), sandbox, git: ours });
});
afterAll(() => folder.remove());

const prepare = (key: string, commands: string[]) =>
  setups.prepare({ repository, commit, commands, key }, never);
const createWorkspace = (runId: string, setup?: Awaited<ReturnType<typeof prepare>>) =>
  workspaces.create(
    runId,
    '1',
    { repository, commit, branch: 'mission/x', identity: { name: 'A', email: 'a@x' }, setup },
    never,
  );

describe('a prepared set-up', () => {
  test('is made by npm once and shown read-only where it was made, with room for caches', async () => {
    const key = 'a'.repeat(16);
    const setup = await prepare(key, ['npm ci --no-audit --no-fund']);
    expect(setup.paths).toEqual(['node_modules']);
    expect(readFileSync(setup.outputFile, 'utf8')).toContain('$ npm ci');
    const command = `node -e 'if (require("leaf") !== 42) process.exit(1)' && echo x > node_modules/.vite/x && ! touch node_modules/x && git status --porcelain`;
    const checked = await room.runCheck({ repository, commit, setup, command }, never);
    expect(checked).toMatchObject({ outcome: 'passed', exitCode: 0 });
    const workspace = await createWorkspace('with-setup', setup);
    const ran = await workspace.run({ argv: ['sh', '-c', command] }, never);
    expect(ran.exitCode).toBe(0);
    const snapshot = await workspace.snapshot(never);
    await workspace.restore(snapshot, never);
    expect((await workspace.run({ argv: ['sh', '-c', command] }, never)).exitCode).toBe(0);
    expect(await workspace.snapshot(never)).toBe(snapshot);
  });

  test('is reused by whoever comes while it is made, or later', async () => {
    const key = 'b'.repeat(16);
    const commands = [
      'mkdir -p packages/a/node_modules .venv; date +%N > .venv/made; echo m > packages/a/node_modules/m',
    ];
    const other = openPreparedSetups({ home: at('home'), sandbox, git: ours });
    const request = { repository, commit, commands, key };
    const made = await Promise.all([
      prepare(key, commands),
      prepare(key, commands),
      other.prepare(request, never),
    ]);
    const times = made.map((setup) => readFileSync(join(setup.folder, 'files/.venv/made'), 'utf8'));
    expect(new Set(times).size).toBe(1);
    expect(made[0]?.paths).toEqual(['.venv', 'packages/a/node_modules']);
    expect(readFileSync(join((await prepare(key, commands)).folder, 'files/.venv/made'), 'utf8')).toBe(
      times[0],
    );
  });

  test('keeps package caches of the home, and files as well as folders', async () => {
    const setup = await prepare('c'.repeat(16), [
      'mkdir -p ~/go/pkg; echo g > ~/go/pkg/g; echo generated > generated.txt',
    ]);
    expect(setup.paths).toEqual(['generated.txt']);
    const checked = await room.runCheck(
      { repository, commit, setup, command: 'cat ~/go/pkg/g generated.txt; git status --porcelain' },
      never,
    );
    expect(checked).toMatchObject({ outcome: 'passed', excerpt: 'g\ngenerated\n' });
  });

  test('that fails says so with its last lines, and leaves nothing', async () => {
    const failing = prepare('d'.repeat(16), [
      'echo starting',
      'echo "no such package" >&2; exit 3',
      'echo never',
    ]);
    await expect(failing).rejects.toMatchObject({ code: 'setup_failed' });
    await expect(failing).rejects.toThrow(/exit status 3: mend it[\s\S]*no such package\n?$/);
    expect(await setups.find('d'.repeat(16))).toBeNull();
    expect(readdirSync(at('home/clean'))).toEqual([]);
  });

  test('is not mounted through a link that an agent planted', async () => {
    const setup = await prepare('b'.repeat(16), []);
    const workspace = await createWorkspace('planted', setup);
    await workspace.run(
      { argv: ['sh', '-c', 'mv packages elsewhere; ln -s ../../../outside packages'] },
      never,
    );
    mkdirSync(at('outside'));
    const ran = await workspace.run({ argv: ['sh', '-c', 'ls .venv; ls packages/a'] }, never);
    expect(ran.stdout.toString('utf8')).toBe('made\n');
    expect(readdirSync(at('outside'))).toEqual([]);
  });
});

describe('a check', () => {
  test('sees the commit and nothing of an agent, and has no network', async () => {
    const workspace = await createWorkspace('agent');
    await workspace.run(
      { argv: ['sh', '-c', 'echo x > untracked; echo changed > packages/a/x.txt; git config a.b c'] },
      never,
    );
    const command = `test ! -e untracked && cat packages/a/x.txt && ! git config a.b && git rev-parse HEAD && ls /sys/class/net 2> /dev/null; ls ~ -A`;
    const outputFile = at('check.log');
    const chunks: Uint8Array[] = [];
    const checked = await room.runCheck({ repository, commit, command, outputFile }, never, (chunk) =>
      chunks.push(chunk),
    );
    expect(checked.excerpt).toContain(`x\n${commit}\n`);
    expect(readFileSync(outputFile, 'utf8')).toBe(checked.excerpt);
    expect(Buffer.concat(chunks).toString('utf8')).toBe(checked.excerpt);
    const offline = `node -e 'fetch("http://1.1.1.1").then(() => process.exit(1), () => process.exit(0))'`;
    expect(await room.runCheck({ repository, commit, command: offline }, never)).toMatchObject({
      outcome: 'passed',
    });
  });

  test('tells how it ended, and keeps the head and the tail of a long output', async () => {
    const check = (command: string, timeoutMs = 20_000) =>
      room.runCheck({ repository, commit, command, limits: { timeoutMs } }, never);
    expect(await check('exit 7')).toMatchObject({ outcome: 'failed', exitCode: 7, outputBytes: 0 });
    expect(await check('sleep 30', 300)).toMatchObject({ outcome: 'timed_out' });
    const long = await check('echo first; seq 100000; echo last; chmod 000 packages');
    expect(long.excerpt).toMatch(/^first\n1\n[\s\S]*… \d+ bytes left out …[\s\S]*100000\nlast\n$/);
    expect(long.excerpt.length).toBeLessThan(9000);
    expect(readdirSync(at('home/clean'))).toEqual([]);
  });

  test('does not start under an older lease, is swept up after a dead process, and ends when it is told to', async () => {
    await takeOver(at('gate'), '2', { limitMs: 5000 });
    const gate = { folder: at('gate'), token: '1' };
    await expect(room.runCheck({ repository, commit, command: 'true', gate }, never)).rejects.toBeInstanceOf(
      GateClosed,
    );
    const left = at('home/clean/999999999-1-left');
    mkdirSync(left);
    writeFileSync(join(left, 'x'), '');
    await openCleanRoom({ home: at('home'), sandbox, git: ours });
    expect(readdirSync(at('home/clean'))).toEqual([]);
    const stop = new AbortController();
    const stopped = room.runCheck(
      { repository, commit, command: 'echo started; sleep 30' },
      stop.signal,
      () => stop.abort(new Error('told to stop')),
    );
    await expect(stopped).rejects.toThrow('told to stop');
    expect(readdirSync(at('home/clean'))).toEqual([]);
  });
});
