import { AppError } from '../../errors.ts';
import { expectSuccess, failureOf, type Git, requireObjectId, splitNul } from './git.ts';
import { type CommitStamp, commitTree } from './rework.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

export type RevertResult =
  | { kind: 'reverted'; commit: string }
  /** Nothing of the change is left in the target. */
  | { kind: 'nothing_left' }
  | { kind: 'conflict'; files: string[] };

/**
 * Takes everything between `base` and `change` out of `target`, whose history holds `change`, as one commit on
 * top of it, whether the change came by a merge or as commits of its own. Without a work tree; no ref moves.
 */
export async function revert(
  git: Git,
  repository: RepositoryHandle,
  request: { target: string; base: string; change: string } & CommitStamp,
  signal: AbortSignal,
): Promise<RevertResult> {
  const { target, base, change } = request;
  const undone = await commitTree(
    git,
    repository,
    { ...request, tree: await readTree(git, repository, base, signal), parents: [change], message: 'undone' },
    signal,
  );
  // The undone change and the target part at the change: a merge of both is the target without the change.
  const result = await git.script(
    `
status=0
git merge-tree --write-tree -z --name-only --no-messages "$1" "$2" > /tmp/merged || status=$?
cat /tmp/merged
if [ "$status" = 1 ]; then exit 12; fi
exit "$status"`,
    [requireObjectId(target), undone],
    { mounts: [repositoryMount(repository, 'write')], env: { GIT_DIR: repositoryTarget } },
    signal,
  );
  const [tree = '', ...files] = splitNul(result.stdout);
  if (result.exitCode === 12) return { kind: 'conflict', files: files.filter(Boolean) };
  if (result.exitCode !== 0)
    throw new AppError('conflict', `${change} cannot be taken out of ${target}: ${failureOf(result)}`);
  if (tree === (await readTree(git, repository, target, signal))) return { kind: 'nothing_left' };
  const commit = await commitTree(git, repository, { ...request, tree, parents: [target] }, signal);
  return { kind: 'reverted', commit };
}

async function readTree(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<string> {
  const read = await git.git(
    ['rev-parse', '--verify', `${requireObjectId(commit)}^{tree}`],
    { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: repositoryTarget } },
    signal,
  );
  return expectSuccess(read, `reading ${commit}`).toString('utf8').trim();
}
