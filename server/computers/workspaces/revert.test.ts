import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Git, openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import { revert } from './revert.ts';
import { commitTree, findConflictMarkers, isHeldBy, keepStart } from './rework.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
} from './test-repository.ts';

const folder = scratchFolder();
const location = join(folder.path, 'source');
const stamp = {
  author: { name: 'Mission Control', email: 'mission@example.org' },
  date: new Date('2026-01-05T09:00:00.900Z'),
  message: 'Revert "two commits"\n\nWhy.',
};
let ours: Git;
let repositories: Repositories;

beforeAll(async () => {
  ours = await openGit(join(folder.path, 'home'), await openTestSandbox(folder.path));
  repositories = openRepositories(join(folder.path, 'home'), ours);
});
afterAll(() => folder.remove());

const fetch = () => repositories.fetch({ location, branch: 'main' }, never);

test('takes out all commits of a change, keeps what came after, and says where it cannot', async () => {
  const base = makeRepository(location, { 'a.txt': '1\n2\n3\n4\n5\n6\n', 'b.txt': 'b\n' });
  commitFiles(location, { 'a.txt': 'one\n2\n3\n4\n5\n6\n' }, 'first half');
  const change = commitFiles(location, { 'new.txt': 'new\n' }, 'second half');
  const later = commitFiles(location, { 'a.txt': 'one\n2\n3\n4\n5\nsix\n' }, 'later');
  const { repository } = await fetch();
  const ask = (target: string) => revert(ours, repository, { ...stamp, target, base, change }, never);

  const made = await ask(later);
  if (made.kind !== 'reverted') throw new Error(made.kind);
  expect(await ask(later)).toEqual(made);
  expect(await repositories.readFile(repository, made.commit, 'a.txt', never)).toEqual(
    Buffer.from('1\n2\n3\n4\n5\nsix\n'),
  );
  expect((await repositories.listFiles(repository, made.commit, never)).map(({ path }) => path)).toEqual([
    'a.txt',
    'b.txt',
  ]);
  expect(git(repository.path, 'log', '-1', '--format=%P %an %at %s', made.commit)).toBe(
    `${later} Mission Control 1767603600 Revert "two commits"`,
  );
  expect(await ask(made.commit)).toEqual({ kind: 'nothing_left' });
  const clash = commitFiles(location, { 'a.txt': 'eins\n2\n3\n4\n5\nsix\n' }, 'over it');
  await fetch();
  expect(await ask(clash)).toEqual({ kind: 'conflict', files: ['a.txt'] });

  const held = (tip: string, commit: string) => isHeldBy(ours, repository, { tip, commit }, never);
  expect(await held(clash, change)).toBe(true);
  expect(await held(base, change)).toBe(false);
  expect(await held(base, '0'.repeat(40))).toBe(false);
});

test('finds the conflict markers that a commit adds, and no others', async () => {
  const { repository, commit: base } = await fetch();
  const marked = await repositories.writeTreeWith(
    repository,
    base,
    { 'a.txt': Buffer.from('<<<<<<< x\n1\n=======\n2  \n>>>>>>> y\n'), 'b.txt': Buffer.from('b  \n') },
    never,
  );
  const find = (from: string, commit: string) =>
    findConflictMarkers(ours, repository, { base: from, commit }, never);
  expect(await find(base, marked)).toEqual(['a.txt:1', 'a.txt:3', 'a.txt:5']);
  expect(await find(marked, marked)).toEqual([]);
  const tree = git(repository.path, 'rev-parse', `${marked}^{tree}`);
  const start = await commitTree(ours, repository, { ...stamp, tree, parents: [base, marked] }, never);
  await keepStart(ours, repository, start, never);
  await keepStart(ours, repository, start, never);
  expect(git(repository.path, 'for-each-ref', '--format=%(objectname)', 'refs/mission/starts')).toBe(start);
});
