import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GateClosed, type Sandbox } from '../sandbox.ts';
import { openGit } from './git.ts';
import { openRepositories, type Repositories, type RepositoryHandle } from './repositories.ts';
import { git, makeRepository, never, openTestSandbox, scratchFolder } from './test-repository.ts';
import { openWorkspaces, type Workspace, type Workspaces } from './workspace.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const identity = { name: 'Agent', email: 'agent@mission.local' };
let sandbox: Sandbox;
let workspaces: Workspaces;
let repositories: Repositories;
let repository: RepositoryHandle;
let base: string;

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  const ours = await openGit(at('home'), sandbox);
  makeRepository(at('source'), {
    'a.txt': 'alpha\nbeta\n',
    'src/b.ts': 'export const beta = 1;\n',
    '.gitignore': 'out\n',
  });
  repositories = openRepositories(at('home'), ours);
  const fetched = await repositories.fetch({ location: at('source') }, never);
  repository = fetched.repository;
  base = fetched.commit;
  workspaces = openWorkspaces({ home: at('home'), sandbox, git: ours });
});
afterAll(() => folder.remove());

const create = (runId: string, token = '1') =>
  workspaces.create(runId, token, { repository, commit: base, branch: 'mission/fix', identity }, never);
const filesOf = (runId: string) => at(`home/runs/${runId}/files`);
async function sh(workspace: Workspace, script: string): Promise<string> {
  const result = await workspace.run({ argv: ['sh', '-euc', script] }, never);
  expect(result.stderr.toString('utf8') + result.exitCode).toBe('0');
  return result.stdout.toString('utf8');
}

describe('a workspace', () => {
  test('begins at the commit, on its branch, with the identity and the history', async () => {
    const workspace = await create('begin');
    expect(await workspace.head(never)).toEqual({
      commit: base,
      branch: 'mission/fix',
      clean: true,
      status: '',
    });
    await sh(workspace, 'echo gamma >> a.txt; echo x > new.txt; echo x > out');
    expect(await workspace.head(never)).toMatchObject({ clean: false, status: ' M a.txt\n?? new.txt' });
    expect(await sh(workspace, 'git commit -q -a -m work; git log --format="%an <%ae> %s" -1')).toBe(
      'Agent <agent@mission.local> work\n',
    );
    expect(
      await sh(
        workspace,
        'cd src; pwd; git remote; ls /repository.git /snapshots.git 2> /dev/null || echo hidden',
      ),
    ).toBe('/workspace/src\nhidden\n');
    const inside = await workspace.run({ argv: ['pwd'], cwd: 'src' }, never);
    expect(inside.stdout.toString('utf8')).toBe('/workspace/src\n');
    const nowhere = await workspace.run({ argv: ['pwd'], cwd: 'no/where' }, never);
    expect(nowhere.exitCode).not.toBe(0);
    expect(nowhere.stderr.toString('utf8')).toContain('no/where');
    await expect(workspace.run({ argv: ['pwd'], cwd: '../..' }, never)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  test('is made anew by create, found by open, closed to an older holder, and removed', async () => {
    const first = await create('again', '1');
    await sh(first, 'echo left > left; chmod 000 left; mkdir shut; chmod 000 shut');
    await sh(await create('again', '2'), 'test ! -e left; echo kept > kept');
    await expect(first.snapshot(never)).rejects.toBeInstanceOf(GateClosed);
    await expect(first.run({ argv: ['true'] }, never)).rejects.toBeInstanceOf(GateClosed);
    const opened = await workspaces.open('again', '3', { repository }, never);
    expect(await sh(opened, 'cat kept')).toBe('kept\n');
    await expect(workspaces.open('again', '2', { repository }, never)).rejects.toBeInstanceOf(GateClosed);
    await workspaces.remove('again');
    expect(existsSync(at('home/runs/again'))).toBe(false);
    await expect(workspaces.open('again', '4', { repository }, never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(create('../escape')).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('the files of a workspace', () => {
  test('are read and written inside only, whatever links say', async () => {
    const workspace = await create('files');
    const { files } = workspace;
    const secret = at('host-secret');
    writeFileSync(secret, 'secret');
    const root = filesOf('files');
    symlinkSync(secret, join(root, 'to-host'));
    symlinkSync('/etc', join(root, 'to-etc'));
    symlinkSync('.git/config', join(root, 'to-git'));
    symlinkSync('src/b.ts', join(root, 'to-b'));
    symlinkSync('../../gate', join(root, 'to-gate'));
    const bytes = Buffer.from('changed');
    for (const path of [
      'to-host',
      'to-etc/passwd',
      '/etc/passwd',
      '../x',
      'to-git',
      '.git/config',
      '/workspace/.git',
      'src/../../x',
      'to-gate',
    ]) {
      expect(await files.readFile(path, never), path).toEqual({ kind: 'outside' });
      expect(await files.writeFile(path, bytes, never), path).toEqual({ kind: 'outside' });
    }
    expect(readFileSync(secret, 'utf8')).toBe('secret');
    expect(await files.readFile('src', never)).toEqual({ kind: 'directory' });
    expect(await files.readFile('none', never)).toEqual({ kind: 'missing' });
    expect(await files.readFile('a.txt', never, 5)).toEqual({ kind: 'too_large', size: 11 });
    expect(await files.readFile('a.txt', never)).toEqual({
      kind: 'file',
      bytes: Buffer.from('alpha\nbeta\n'),
    });
    expect(await files.readFile('/workspace/a.txt', never)).toMatchObject({ kind: 'file' });
    expect(await files.writeFile('to-b', bytes, never)).toEqual({ kind: 'written', created: false });
    expect(readFileSync(join(root, 'src/b.ts'), 'utf8')).toBe('changed');
    expect(lstatSync(join(root, 'to-b')).isSymbolicLink()).toBe(true);
  });

  test('keep their mode, get parents and odd names, and say why they cannot be written', async () => {
    const workspace = await create('modes');
    const { files } = workspace;
    await sh(workspace, 'echo x > tool; chmod 755 tool; mkfifo pipe; echo x > file');
    expect(await files.writeFile('tool', Buffer.from([0, 255, 10]), never)).toEqual({
      kind: 'written',
      created: false,
    });
    expect(lstatSync(join(filesOf('modes'), 'tool')).mode & 0o777).toBe(0o755);
    expect(await files.readFile('tool', never)).toEqual({ kind: 'file', bytes: Buffer.from([0, 255, 10]) });
    const odd = 'new/dir/-odd "name" $(id)\n';
    expect(await files.writeFile(odd, Buffer.alloc(0), never)).toEqual({ kind: 'written', created: true });
    expect(await files.readFile(odd, never)).toEqual({ kind: 'file', bytes: Buffer.alloc(0) });
    expect(await files.writeFile('src', Buffer.from('x'), never)).toEqual({ kind: 'directory' });
    expect(await files.writeFile('file/below', Buffer.from('x'), never)).toMatchObject({ kind: 'failed' });
    expect(await files.readFile('pipe', never)).toEqual({ kind: 'special' });
    expect(await files.writeFile('pipe', Buffer.from('x'), never)).toMatchObject({ kind: 'failed' });
  });
});

describe('the files of a workspace, seen together,', () => {
  test('are listed and searched', async () => {
    const workspace = await create('search');
    const { files } = workspace;
    await sh(
      workspace,
      'printf "beta\\0" > binary; mkdir -p out deep/er; echo beta > out/ignored; echo "a.c beta" > deep/er/c.txt; ln -s /etc etc',
    );
    const listed = await files.listDirectory('.', 1, never);
    expect(listed).toMatchObject({ kind: 'directory', truncated: false });
    if (listed.kind !== 'directory') return;
    expect(listed.entries).toContainEqual({ path: 'a.txt', type: 'file', size: 11 });
    expect(listed.entries.map((entry) => `${entry.path} ${entry.type}`)).toEqual([
      '.gitignore file',
      'a.txt file',
      'binary file',
      'deep directory',
      'etc link',
      'out directory',
      'src directory',
    ]);
    const deep = await files.listDirectory('deep', 3, never);
    expect(deep).toMatchObject({ entries: [{ path: 'er' }, { path: 'er/c.txt' }] });
    expect(await files.listDirectory('none', 1, never)).toEqual({ kind: 'missing' });
    expect(await files.listDirectory('etc', 1, never)).toEqual({ kind: 'outside' });
    expect(await files.listDirectory('a.txt', 1, never)).toEqual({ kind: 'file' });

    const search = (request: {
      pattern: string;
      path?: string;
      glob?: string;
      limit?: number;
      fixed?: boolean;
    }) => files.search({ limit: 50, ...request }, never);
    const all = await search({ pattern: 'be.a' });
    expect(all.kind === 'matches' && all.matches.map((match) => `${match.path}:${match.line}`)).toEqual([
      'a.txt:2',
      'deep/er/c.txt:1',
      'src/b.ts:1',
    ]);
    expect(await search({ pattern: 'beta', glob: '*.ts' })).toEqual({
      kind: 'matches',
      matches: [{ path: 'src/b.ts', line: 1, text: 'export const beta = 1;' }],
      truncated: false,
    });
    expect(await search({ pattern: 'a.c', fixed: true })).toMatchObject({
      matches: [{ path: 'deep/er/c.txt' }],
    });
    expect(await search({ pattern: 'beta', limit: 1 })).toMatchObject({ truncated: true });
    expect(await search({ pattern: 'nowhere-to-be-found' })).toEqual({
      kind: 'matches',
      matches: [],
      truncated: false,
    });
    expect(await search({ pattern: '--pre=sh' })).toMatchObject({ kind: 'matches' });
    expect(await search({ pattern: '(' })).toMatchObject({ kind: 'invalid' });
    expect(await search({ pattern: 'x', path: 'etc' })).toEqual({ kind: 'outside' });
  });
});

describe('taking a commit out of a workspace', () => {
  test('checks it, keeps it and counts what changed', async () => {
    const workspace = await create('export');
    await sh(
      workspace,
      'echo gamma >> a.txt; echo n > "n\nn"; git add -A; git commit -q -m "Fix it" -m "Because."',
    );
    const { commit } = await workspace.head(never);
    if (commit === null) throw new Error('no commit');
    const exported = await workspace.exportCommit(commit, never);
    expect(exported).toMatchObject({ commit, message: 'Fix it\n\nBecause.', changedFiles: 2 });
    expect(await workspace.exportCommit(commit, never)).toEqual(exported);
    expect(await workspace.exportCommit(base, never)).toMatchObject({ commit: base, changedFiles: 0 });
    const text = await repositories.readFile(repository, commit, 'a.txt', never);
    expect(text?.toString()).toBe('alpha\nbeta\ngamma\n');
    await expect(workspace.exportCommit('1'.repeat(40), never)).rejects.toThrow(/holds no such commit/);
    await expect(workspace.exportCommit('--all', never)).rejects.toThrow(/full commit id/);
    await sh(workspace, 'git checkout -q --orphan alone; git commit -q -m alone');
    const alone = (await workspace.head(never)).commit ?? '';
    await expect(workspace.exportCommit(alone, never)).rejects.toThrow(
      /does not stand on the base|not stand/,
    );
  });

  test('is not fooled by hooks, configuration, replaced or corrupt objects', async () => {
    const workspace = await create('hostile');
    const mark = at('agent-ran');
    await sh(workspace, 'echo evil >> a.txt; git commit -q -a -m evil');
    const commit = (await workspace.head(never)).commit ?? '';
    await sh(workspace, `git replace ${commit} ${base}`);
    const agentGit = at('home/runs/hostile/git');
    await sh(workspace, `mv .git/objects .git/real; ln -s ${at('source/.git/objects')} .git/objects`);
    await expect(workspace.exportCommit(commit, never)).rejects.toThrow(/holds no such commit/);
    await expect(workspace.exportCommit(base, never)).rejects.toThrow(/holds no such commit/);
    await sh(workspace, 'rm .git/objects; mv .git/real .git/objects');
    mkdirSync(join(agentGit, 'hooks'), { recursive: true });
    for (const hook of ['reference-transaction', 'post-commit', 'pre-auto-gc', 'post-index-change']) {
      writeFileSync(
        join(agentGit, 'hooks', hook),
        `#!/bin/sh\necho ran > ${mark}; echo ran > /repository.git/ran\n`,
        { mode: 0o755 },
      );
    }
    appendFileSync(
      join(agentGit, 'config'),
      `[core]\n\thooksPath = /workspace/.git/hooks\n\tfsmonitor = "sh -c 'echo ran > ${mark}'"\n[pack]\n\tpackSizeLimit = 1\n[alias]\n\tpack-objects = !false\n`,
    );
    expect(await workspace.head(never)).toMatchObject({ commit, clean: true });
    expect(await workspace.exportCommit(commit, never)).toMatchObject({ commit, changedFiles: 1 });
    expect(existsSync(mark) || existsSync(join(repository.path, 'ran'))).toBe(false);
    expect(git(repository.path, 'rev-parse', 'refs/mission/runs/hostile')).toBe(commit);

    await sh(
      workspace,
      `blob=$(echo x | git hash-object -w --stdin); tree=$(printf '100644 blob %s\\t.git\\n' "$blob" | git mktree)
       git commit-tree -p ${base} -m forged "$tree" > forged`,
    );
    const forged = readFileSync(join(filesOf('hostile'), 'forged'), 'utf8').trim();
    await expect(workspace.exportCommit(forged, never)).rejects.toThrow(/not sound/);
    await sh(
      workspace,
      `tree=$(printf '100644 blob %s\\tgone\\n' 1111111111111111111111111111111111111111 | git mktree --missing); git commit-tree -p ${base} -m hollow "$tree" > forged`,
    );
    const hollow = readFileSync(join(filesOf('hostile'), 'forged'), 'utf8').trim();
    await expect(workspace.exportCommit(hollow, never)).rejects.toMatchObject({ code: 'unprocessable' });
    expect(git(repository.path, 'fsck', '--no-dangling')).toBe('');
  });
});
