import { expectSuccess, type Git } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

const runRefs = 'refs/mission/runs/';

/** Runs whose commit the control plane's copy keeps by name. */
export async function runsKept(git: Git, path: string, signal: AbortSignal): Promise<string[]> {
  const result = await git.git(
    ['for-each-ref', '--format=%(refname)', runRefs],
    { mounts: [repositoryMount(handleOf(path), 'read')], env: { GIT_DIR: repositoryTarget } },
    signal,
  );
  const names = expectSuccess(result, `listing ${path}`).toString('utf8').split('\n');
  return names.filter(Boolean).map((name) => name.slice(runRefs.length));
}

/** Lets go of the commits of these runs, and packs; objects younger than two weeks stay whatever names them. */
export async function forgetRuns(
  git: Git,
  path: string,
  runs: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const stdin = Buffer.from(runs.map((run) => `delete ${runRefs}${run}\n`).join(''));
  const result = await git.script(
    'git update-ref --stdin && git gc --quiet --prune=2.weeks.ago',
    [],
    {
      mounts: [repositoryMount(handleOf(path), 'write')],
      env: { GIT_DIR: repositoryTarget },
      stdin,
      limits: { timeoutMs: 600_000 },
    },
    signal,
  );
  expectSuccess(result, `clearing ${path}`);
}

const handleOf = (path: string): RepositoryHandle => ({ key: '', path, location: '' });
