import { expectSuccess, type Git, requireObjectId } from './git.ts';
import type { Signature } from './repository-content.ts';
import { keepRef, type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

/** Of the act's intent, so that a repeat gives the same id. Seconds count, not milliseconds. */
export interface CommitStamp {
  author: Signature;
  date: Date;
  message: string;
}

/** Makes a commit of a tree that the copy holds. No ref moves. */
export async function commitTree(
  git: Git,
  repository: RepositoryHandle,
  request: { tree: string; parents: string[] } & CommitStamp,
  signal: AbortSignal,
): Promise<string> {
  const parents = request.parents.flatMap((parent) => ['-p', requireObjectId(parent)]);
  const made = await git.git(
    ['commit-tree', requireObjectId(request.tree), ...parents, '-F', '-'],
    {
      mounts: [repositoryMount(repository, 'write')],
      stdin: request.message,
      env: { GIT_DIR: repositoryTarget, ...signatureOf(request) },
    },
    signal,
  );
  return expectSuccess(made, `committing ${request.tree}`).toString('utf8').trim();
}

/** Keeps a commit of the copy that a workspace will start from. */
export async function keepStart(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<void> {
  const kept = await git.script(
    `${keepRef}keep_ref "$1" "$2"`,
    [`refs/mission/starts/${requireObjectId(commit)}`, commit],
    { mounts: [repositoryMount(repository, 'write')], env: { GIT_DIR: repositoryTarget } },
    signal,
  );
  expectSuccess(kept, `keeping ${commit}`);
}

/** `path:line` of each of git's conflict markers that `commit` adds to `base`. */
export async function findConflictMarkers(
  git: Git,
  repository: RepositoryHandle,
  range: { base: string; commit: string },
  signal: AbortSignal,
): Promise<string[]> {
  const script = `
git diff-tree -r --check --no-ext-diff --no-textconv "$1" "$2" > /tmp/found || true
grep ': leftover conflict marker$' /tmp/found | head -n 100 || true`;
  const args = [requireObjectId(range.base), requireObjectId(range.commit)];
  const options = { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: repositoryTarget } };
  const result = await git.script(script, args, options, signal);
  return expectSuccess(result, `looking for conflict markers in ${range.commit}`)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/: leftover conflict marker$/, ''));
}

/** Whether the history of `tip` holds `commit`. */
export async function isHeldBy(
  git: Git,
  repository: RepositoryHandle,
  request: { tip: string; commit: string },
  signal: AbortSignal,
): Promise<boolean> {
  const result = await git.script(
    'git cat-file -e "$1^{commit}" 2> /dev/null || exit 10\ngit merge-base --is-ancestor "$1" "$2" || exit 10',
    [requireObjectId(request.commit), requireObjectId(request.tip)],
    { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: repositoryTarget } },
    signal,
  );
  if (result.exitCode === 10) return false;
  expectSuccess(result, `looking for ${request.commit}`);
  return true;
}

function signatureOf({ author, date }: CommitStamp): Record<string, string> {
  const time = `${Math.floor(date.getTime() / 1000)} +0000`;
  return {
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_AUTHOR_DATE: time,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
    GIT_COMMITTER_DATE: time,
  };
}
