import { AppError } from '../../errors.ts';
import { expectSuccess, failureOf, type Git, requireObjectId, splitNul } from './git.ts';
import type { Signature } from './repository-content.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

export interface MergeRequest {
  /** The tip of the branch that is merged into. */
  target: string;
  change: string;
  message: string;
  author: Signature;
  /** Of the merge's intent, so that a repeat gives the same id. Seconds count, not milliseconds. */
  date: Date;
}

export type MergeResult =
  | { kind: 'merged'; commit: string }
  /** `change` already holds `target` (or the other way about): the branch moves to `commit`, nothing is made. */
  | { kind: 'fast_forward'; commit: string }
  /** `tree` holds both sides, with git's markers where they conflict. */
  | { kind: 'conflict'; files: string[]; tree: string };

/** Merges two commits of the control plane's copy, without a work tree. No ref moves. */
export async function merge(
  git: Git,
  repository: RepositoryHandle,
  request: MergeRequest,
  signal: AbortSignal,
): Promise<MergeResult> {
  const target = requireObjectId(request.target);
  const change = requireObjectId(request.change);
  const date = `${Math.floor(request.date.getTime() / 1000)} +0000`;
  const { name, email } = request.author;
  const result = await git.script(
    `
if git merge-base --is-ancestor "$1" "$2"; then echo "$2"; exit 11; fi
if git merge-base --is-ancestor "$2" "$1"; then echo "$1"; exit 11; fi
status=0
git merge-tree --write-tree -z --name-only --no-messages "$1" "$2" > /tmp/merged || status=$?
if [ "$status" = 1 ]; then cat /tmp/merged; exit 12; fi
if [ "$status" != 0 ]; then exit 13; fi
tree=$(tr -d '\\000' < /tmp/merged)
git commit-tree "$tree" -p "$1" -p "$2" -F -`,
    [target, change],
    {
      mounts: [repositoryMount(repository, 'write')],
      stdin: request.message,
      env: {
        GIT_DIR: repositoryTarget,
        GIT_AUTHOR_NAME: name,
        GIT_AUTHOR_EMAIL: email,
        GIT_AUTHOR_DATE: date,
        GIT_COMMITTER_NAME: name,
        GIT_COMMITTER_EMAIL: email,
        GIT_COMMITTER_DATE: date,
      },
    },
    signal,
  );
  if (result.exitCode === 11) return { kind: 'fast_forward', commit: result.stdout.toString('utf8').trim() };
  if (result.exitCode === 12) {
    const [tree = '', ...files] = splitNul(result.stdout);
    return { kind: 'conflict', files: files.filter(Boolean), tree };
  }
  if (result.exitCode === 13) {
    const message = `${change} cannot be merged into ${target}: ${failureOf(result)}`;
    throw new AppError('conflict', message);
  }
  const commit = expectSuccess(result, `merging ${change} into ${target}`).toString('utf8').trim();
  return { kind: 'merged', commit };
}
