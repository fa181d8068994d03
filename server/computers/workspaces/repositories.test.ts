import { appendFileSync, chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
  serveGit,
  writeFiles,
} from './test-repository.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
let repositories: Repositories;

beforeAll(async () => {
  const ours = await openGit(at('home'), await openTestSandbox(folder.path));
  repositories = openRepositories(at('home'), ours);
});
afterAll(() => folder.remove());

const fetch = (location: string, branch?: string) => repositories.fetch({ location, branch }, never);

describe('fetching a source on this machine', () => {
  test('takes the checked-out branch, a named one, and what was committed since', async () => {
    const first = makeRepository(at('plain'), { 'a.txt': 'one\n' });
    const fetched = await fetch(at('plain'));
    expect(fetched).toMatchObject({
      commit: first,
      branch: 'main',
      sourceKind: 'path',
      dirty: false,
      warnings: [],
    });
    git(at('plain'), 'checkout', '-q', '-b', 'topic/x');
    const second = commitFiles(at('plain'), { 'b.txt': 'two\n' }, 'second');
    git(at('plain'), 'pack-refs', '--all');
    expect(await fetch(at('plain'))).toMatchObject({ commit: second, branch: 'topic/x' });
    expect(await fetch(`file://${at('plain')}`, 'main')).toMatchObject({ commit: first, branch: 'main' });
  });

  test('works for a bare repository, a linked work tree and a .git that is a file', async () => {
    const commit = makeRepository(at('main-tree'), { 'a.txt': 'one\n' });
    git(folder.path, 'clone', '-q', '--bare', at('main-tree'), at('bare.git'));
    git(at('main-tree'), 'worktree', 'add', '-q', '-b', 'linked', at('linked'));
    git(
      folder.path,
      'clone',
      '-q',
      '--separate-git-dir',
      at('separate.git'),
      at('main-tree'),
      at('separate'),
    );
    expect(await fetch(at('bare.git'))).toMatchObject({ commit, branch: 'main', dirty: false });
    expect(await fetch(at('linked'))).toMatchObject({ commit, branch: 'linked', dirty: false });
    expect(await fetch(at('separate'))).toMatchObject({ commit, branch: 'main', dirty: false });
    writeFiles(at('linked'), { 'new.txt': 'x' });
    expect((await fetch(at('linked'))).dirty).toBe(true);
    expect((await fetch(at('main-tree'))).dirty).toBe(false);
  });

  test('warns of tracked and untracked changes, not of ignored ones', async () => {
    makeRepository(at('dirty'), { 'a.txt': 'one\n', '.gitignore': 'out\n' });
    writeFiles(at('dirty'), { 'out/x': 'ignored' });
    expect((await fetch(at('dirty'))).dirty).toBe(false);
    writeFiles(at('dirty'), { 'a.txt': 'two\n' });
    const fetched = await fetch(at('dirty'));
    expect(fetched.dirty).toBe(true);
    expect(fetched.warnings.join()).toContain('not committed');
  });

  test('says what to do where nothing can be fetched', async () => {
    mkdirSync(at('no-repository'));
    mkdirSync(at('empty'));
    git(at('empty'), 'init', '-q', '-b', 'main');
    makeRepository(at('unborn'), { 'a.txt': 'one\n' });
    git(at('unborn'), 'symbolic-ref', 'HEAD', 'refs/heads/nothing-here');
    git(folder.path, 'clone', '-q', '--depth', '1', `file://${at('plain')}`, at('shallow'));
    git(folder.path, 'clone', '-q', '--shared', at('plain'), at('borrowing'));
    await expect(fetch(at('nowhere'))).rejects.toThrow(/does not exist: check/);
    await expect(fetch('relative/path')).rejects.toThrow(/full path/);
    await expect(fetch('git@example.org:x/y')).rejects.toThrow(/https:/);
    await expect(fetch(at('no-repository'))).rejects.toMatchObject({ code: 'repository_unusable' });
    await expect(fetch(at('empty'))).rejects.toThrow(/no commit on any branch/);
    await expect(fetch(at('unborn'))).rejects.toThrow(/nothing-here .* has no commit yet/);
    await expect(fetch(at('shallow'))).rejects.toThrow(/fetch --unshallow/);
    await expect(fetch(at('borrowing'))).rejects.toThrow(/alternates/);
    await expect(fetch(at('plain'), 'topic/y')).rejects.toThrow(/nearest are topic\/x/);
    await expect(fetch(at('plain'), '--upload-pack=x')).rejects.toMatchObject({ code: 'no_such_branch' });
    await expect(fetch('https://user:secret@example.org/x')).rejects.toThrow(/password/);
  });
});

describe('a source that is hostile, busy or far away', () => {
  test('runs nothing that it configures, and reads no forged objects', async () => {
    const commit = makeRepository(at('hostile'), {
      'a.txt': 'one\n',
      '.gitattributes': '* filter=evil diff=evil\n',
    });
    // The source is mounted for reading only, so what ran would show in a failure or in the answer, too.
    const mark = at('hostile-ran');
    const evil = at('evil.sh');
    writeFileSync(evil, `#!/bin/sh\necho ran >> ${mark}\necho ran >&2\nexit 1\n`);
    chmodSync(evil, 0o755);
    mkdirSync(at('hostile/.git/hooks'), { recursive: true });
    for (const hook of ['reference-transaction', 'post-checkout', 'pre-receive', 'post-index-change']) {
      writeFileSync(at(`hostile/.git/hooks/${hook}`), `#!/bin/sh\necho ran >> ${mark}\nexit 1\n`);
      chmodSync(at(`hostile/.git/hooks/${hook}`), 0o755);
    }
    appendFileSync(
      at('hostile/.git/config'),
      `[core]\n\tfsmonitor = ${evil}\n\thooksPath = ${at('hostile/.git/hooks')}\n\tsshCommand = ${evil}\n\tpager = ${evil}\n` +
        `[uploadpack]\n\tpackObjectsHook = ${evil}\n[alias]\n\tstatus = !${evil}\n\tupload-pack = !${evil}\n` +
        `[filter "evil"]\n\tclean = ${evil}\n\tsmudge = ${evil}\n\trequired = true\n[diff "evil"]\n\ttextconv = ${evil}\n\tcommand = ${evil}\n` +
        `[include]\n\tpath = /etc/passwd\n`,
    );
    writeFiles(at('hostile'), { 'b.txt': 'new' });
    const fetched = await fetch(at('hostile'));
    expect(fetched).toMatchObject({ commit, dirty: true });
    expect(existsSync(mark)).toBe(false);
    const diff = await repositories.diff(fetched.repository, commit, commit, never);
    expect(diff).toEqual({ patch: '', truncated: false, files: [] });
  });

  test('is copied once by fetches at the same time', async () => {
    const commit = makeRepository(at('twice'), { 'a.txt': 'one\n' });
    const both = await Promise.all([fetch(at('twice')), fetch(at('twice')), fetch(at('twice'))]);
    expect(both.map((one) => one.commit)).toEqual([commit, commit, commit]);
    expect(new Set(both.map((one) => one.repository.path)).size).toBe(1);
  });

  test('is fetched over HTTP, and says what is wrong there', async () => {
    const commit = makeRepository(at('served'), { 'a.txt': 'one\n' });
    git(at('served'), 'branch', 'other');
    await using server = await serveGit(folder.path);
    const url = `${server.url}/served/.git`;
    expect(await fetch(url)).toMatchObject({
      commit,
      branch: 'main',
      sourceKind: 'url',
      dirty: false,
      warnings: [],
    });
    expect(await fetch(url, 'other')).toMatchObject({ commit, branch: 'other' });
    await expect(fetch(url, 'othr')).rejects.toThrow(/nearest are other/);
    await expect(fetch(`${server.url}/none`)).rejects.toMatchObject({ code: 'repository_unusable' });
    await expect(fetch('http://127.0.0.1:1/x.git')).rejects.toThrow(/cannot be reached/);
  });
});

test('what is in a copy is read, listed, compared and changed', async () => {
  const strange = 'dir/na "m"\\e\nwith newline';
  const base = makeRepository(at('content'), {
    'a.txt': 'one\n',
    'run.sh': '#!/bin/sh\n',
    'gone.txt': 'x\n',
    [strange]: 's',
  });
  chmodSync(at('content/run.sh'), 0o755);
  rmSync(at('content/gone.txt'));
  renameSync(at('content/a.txt'), at('content/renamed.txt'));
  const commit = commitFiles(
    at('content'),
    { 'bin.dat': Buffer.from([0, 1, 2, 0]), 'new.txt': '1\n2\n' },
    'second',
  );
  const { repository } = await fetch(at('content'));
  expect((await repositories.readFile(repository, base, 'a.txt', never))?.toString()).toBe('one\n');
  expect((await repositories.readFile(repository, base, strange, never))?.toString()).toBe('s');
  expect(await repositories.readFile(repository, commit, 'a.txt', never)).toBeNull();
  expect(await repositories.readFile(repository, commit, 'dir', never)).toBeNull();
  expect(await repositories.readFile(repository, commit, '../a', never)).toBeNull();
  const files = await repositories.listFiles(repository, commit, never);
  expect(files).toContainEqual({ path: 'run.sh', mode: '100755', size: 10 });
  expect(files).toContainEqual({ path: strange, mode: '100644', size: 1 });
  const diff = await repositories.diff(repository, base, commit, never);
  expect(diff.files).toContainEqual({
    path: 'renamed.txt',
    from: 'a.txt',
    status: 'renamed',
    additions: 0,
    deletions: 0,
    binary: false,
  });
  expect(diff.files).toContainEqual({
    path: 'new.txt',
    from: null,
    status: 'added',
    additions: 2,
    deletions: 0,
    binary: false,
  });
  expect(diff.files).toContainEqual({
    path: 'bin.dat',
    from: null,
    status: 'added',
    additions: 0,
    deletions: 0,
    binary: true,
  });
  expect(diff.patch).toContain('rename from a.txt');

  const overrides = {
    'run.sh': Buffer.from('changed'),
    [strange]: null,
    'fresh/x': Buffer.from('n'),
    'not-there': null,
  };
  const pinned = await repositories.writeTreeWith(repository, commit, overrides, never);
  expect(await repositories.writeTreeWith(repository, commit, overrides, never)).toBe(pinned);
  const after = await repositories.listFiles(repository, pinned, never);
  expect(after).toContainEqual({ path: 'run.sh', mode: '100755', size: 7 });
  expect(after).toContainEqual({ path: 'fresh/x', mode: '100644', size: 1 });
  expect(after.some((file) => file.path === strange)).toBe(false);
  expect(after.length).toBe(files.length);
  await expect(repositories.writeTreeWith(repository, commit, { '.git/x': null }, never)).rejects.toThrow(
    /not a path/,
  );
  await expect(repositories.listFiles(repository, 'HEAD', never)).rejects.toThrow(/full commit id/);
});

test('what is in a copy is merged the same way each time, fast-forwards, and names its conflicts', async () => {
  const base = makeRepository(at('merging'), { 'a.txt': '1\n2\n3\n', 'b.txt': 'b\n' });
  const target = commitFiles(at('merging'), { 'b.txt': 'target\n' }, 'target');
  git(at('merging'), 'checkout', '-q', '-b', 'change', base);
  const change = commitFiles(at('merging'), { 'a.txt': '1\n2\nthree\n' }, 'change');
  git(at('merging'), 'checkout', '-q', '-b', 'clash', base);
  const clash = commitFiles(at('merging'), { 'b.txt': 'clash\n' }, 'clash');
  const { repository } = await fetch(at('merging'), 'main');
  await fetch(at('merging'), 'change');
  await fetch(at('merging'), 'clash');
  const request = {
    target,
    change,
    message: 'Merge',
    author: { name: 'Bo', email: 'b@x.org' },
    date: new Date(1e12),
  };
  const merged = await repositories.merge(repository, request, never);
  expect(merged.kind).toBe('merged');
  expect(await repositories.merge(repository, request, never)).toEqual(merged);
  if (merged.kind !== 'merged') return;
  expect((await repositories.readFile(repository, merged.commit, 'b.txt', never))?.toString()).toBe(
    'target\n',
  );
  expect((await repositories.readFile(repository, merged.commit, 'a.txt', never))?.toString()).toBe(
    '1\n2\nthree\n',
  );
  expect(await repositories.merge(repository, { ...request, target: base }, never)).toEqual({
    kind: 'fast_forward',
    commit: change,
  });
  expect(await repositories.merge(repository, { ...request, change: base }, never)).toEqual({
    kind: 'fast_forward',
    commit: target,
  });
  expect(await repositories.merge(repository, { ...request, change: clash }, never)).toEqual({
    kind: 'conflict',
    files: ['b.txt'],
    tree: expect.stringMatching(/^[0-9a-f]{40}$/),
  });
});
