import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
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

/** A source whose `main` is not checked out, its copy, and a change that only the copy has. */
async function sourceWithChange(name: string) {
  const location = at(name);
  const base = makeRepository(location, { 'a.txt': 'one\n' });
  git(location, 'checkout', '-q', '-b', 'elsewhere');
  const { repository } = await repositories.fetch({ location, branch: 'main' }, never);
  const change = (text: string) =>
    repositories.writeTreeWith(repository, base, { 'a.txt': Buffer.from(text) }, never);
  return { location, base, repository, change, commit: await change('two\n') };
}

test('moves a branch once, by compare-and-swap, and no hook runs', async () => {
  const { location, base, repository, commit, change } = await sourceWithChange('moved');
  const mark = at('hook-ran');
  for (const hook of ['reference-transaction', 'post-update', 'update']) {
    mkdirSync(join(location, '.git/hooks'), { recursive: true });
    writeFileSync(
      join(location, '.git/hooks', hook),
      `#!/bin/sh\necho ran > ${mark}; echo ran > /source.git/ran\nexit 1\n`,
    );
    chmodSync(join(location, '.git/hooks', hook), 0o755);
  }
  const request = { location, branch: 'main', commit, expected: base };
  expect(await repositories.deliver(repository, request, never)).toEqual({ kind: 'moved' });
  expect(await repositories.deliver(repository, request, never)).toEqual({ kind: 'moved' });
  expect(git(location, 'rev-parse', 'main')).toBe(commit);
  expect(git(location, 'show', 'main:a.txt')).toBe('two');
  expect(git(location, 'reflog', 'main')).toContain('mission: deliver');
  expect(git(location, 'fsck', '--strict')).toBe('');
  expect(existsSync(mark) || existsSync(join(location, '.git/ran'))).toBe(false);
  const late = { ...request, commit: await change('three\n') };
  expect(await repositories.deliver(repository, late, never)).toEqual({ kind: 'moved_meanwhile', commit });
  expect(await repositories.deliver(repository, { ...late, branch: 'fresh', expected: null }, never)).toEqual(
    {
      kind: 'moved',
    },
  );
});

test('never moves a branch that a work tree holds, even while a rebase hides it', async () => {
  const { location, base, repository, commit } = await sourceWithChange('held');
  git(location, 'worktree', 'add', '-q', at('held-linked'), 'main');
  const request = { location, branch: 'main', commit, expected: base };
  const refusal = { kind: 'branch_checked_out', path: at('held-linked') };
  expect(await repositories.deliver(repository, request, never)).toEqual(refusal);
  expect(await repositories.readTarget(location, 'main', never)).toEqual({
    commit: base,
    checkedOutAt: at('held-linked'),
    clean: true,
  });
  writeFiles(at('held-linked'), { 'a.txt': 'changed' });
  expect((await repositories.readTarget(location, 'main', never)).clean).toBe(false);
  git(at('held-linked'), 'checkout', '-q', '--detach');
  mkdirSync(join(location, '.git/worktrees/held-linked/rebase-merge'));
  writeFileSync(join(location, '.git/worktrees/held-linked/rebase-merge/head-name'), 'refs/heads/main\n');
  expect(await repositories.deliver(repository, request, never)).toEqual(refusal);
  expect(git(location, 'rev-parse', 'main')).toBe(base);
  expect(await repositories.readTarget(location, 'none', never)).toEqual({
    commit: null,
    checkedOutAt: null,
    clean: true,
  });
});

test('a bare source is delivered to, packed refs and all', async () => {
  const { location } = await sourceWithChange('for-bare');
  git(folder.path, 'clone', '-q', '--bare', location, at('target.git'));
  git(at('target.git'), 'symbolic-ref', 'HEAD', 'refs/heads/main');
  git(at('target.git'), 'pack-refs', '--all');
  const { repository, commit: base } = await repositories.fetch({ location: at('target.git') }, never);
  const commit = await repositories.writeTreeWith(repository, base, { x: Buffer.from('x') }, never);
  expect(
    await repositories.deliver(
      repository,
      { location: at('target.git'), branch: 'main', commit, expected: base },
      never,
    ),
  ).toEqual({ kind: 'moved' });
  expect(git(at('target.git'), 'rev-parse', 'main')).toBe(commit);
  expect(git(at('target.git'), 'fsck')).toBe('');
});

test('publishes a branch of ours, moves it, and leaves a foreign one alone', async () => {
  const { location, base, repository, commit, change } = await sourceWithChange('published');
  const publish = (branch: `mission/${string}`, id: string) =>
    repositories.publishBranch(repository, { location, branch, commit: id }, never);
  expect(await publish('mission/fix', commit)).toEqual({ kind: 'moved' });
  expect(await publish('mission/fix', commit)).toEqual({ kind: 'moved' });
  const amended = await change('amended\n');
  expect(await publish('mission/fix', amended)).toEqual({ kind: 'moved' });
  expect(git(location, 'rev-parse', 'mission/fix')).toBe(amended);
  git(location, 'branch', 'mission/earlier', base);
  expect(await publish('mission/earlier', commit)).toEqual({ kind: 'moved' });
  git(location, 'checkout', '-q', '-b', 'mission/theirs');
  commitFiles(location, { 'theirs.txt': 'x' }, 'theirs');
  await expect(publish('mission/theirs', commit)).rejects.toMatchObject({ code: 'conflict' });
  git(location, 'checkout', '-q', 'mission/fix');
  expect(await publish('mission/fix', await change('again\n'))).toEqual({
    kind: 'branch_checked_out',
    path: location,
  });
});

test('an attempt that was killed with its lock in place is taken up again, a lock of others is not', async () => {
  const { location, base, repository, commit } = await sourceWithChange('locked');
  const request = { location, branch: 'main', commit, expected: base };
  const lock = join(location, '.git/refs/heads/main.lock');
  writeFileSync(lock, '');
  await expect(repositories.deliver(repository, request, never)).rejects.toThrow(/main\.lock/);
  writeFileSync(lock, `${commit}\n`);
  expect(await repositories.deliver(repository, request, never)).toEqual({ kind: 'moved' });
  const published = join(repository.path, 'refs/mission/published/mission/late');
  mkdirSync(published, { recursive: true });
  writeFileSync(join(published, `${commit}.lock`), '');
  const publication = { location, branch: 'mission/late', commit } as const;
  expect(await repositories.publishBranch(repository, publication, never)).toEqual({ kind: 'moved' });
});

test('an address is refused with the way round', async () => {
  const { repository, base, commit } = await sourceWithChange('address');
  const request = { location: 'https://example.org/x.git', branch: 'main', commit, expected: base };
  await expect(repositories.deliver(repository, request, never)).rejects.toThrow(/not supported yet/);
});
