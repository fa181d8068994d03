import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openGit } from './git.ts';
import { forgetRuns, runsKept } from './prune-copy.ts';
import { openRepositories } from './repositories.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
} from './test-repository.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

test('a copy lets go of the runs that are named, and keeps the others and its bases', async () => {
  const ours = await openGit(at('home'), await openTestSandbox(folder.path));
  makeRepository(at('source'), { 'a.txt': 'one\n' });
  const tip = commitFiles(at('source'), { 'a.txt': 'two\n' }, 'second');
  const { repository } = await openRepositories(at('home'), ours).fetch({ location: at('source') }, never);
  for (const run of ['run_old', 'run_new'])
    git(repository.path, 'update-ref', `refs/mission/runs/${run}`, tip);
  expect((await runsKept(ours, repository.path, never)).sort()).toEqual(['run_new', 'run_old']);
  await forgetRuns(ours, repository.path, ['run_old'], never);
  expect(await runsKept(ours, repository.path, never)).toEqual(['run_new']);
  expect(git(repository.path, 'rev-parse', `refs/mission/bases/${tip}`)).toContain(tip);
  await forgetRuns(ours, repository.path, ['run_new'], never);
  expect(await runsKept(ours, repository.path, never)).toEqual([]);
});
