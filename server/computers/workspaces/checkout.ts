import type { Gate, Mount } from '../sandbox.ts';
import { expectSuccess, type Git, requireObjectId } from './git.ts';
import type { Signature } from './repository-content.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

export const workspaceTarget = '/workspace';

/** The two folders of a checkout on the host: the work tree and, apart from it, its git folder. */
export interface CheckoutFolders {
  files: string;
  git: string;
}

export function checkoutMounts(folders: CheckoutFolders, mode: Mount['mode'] = 'write'): Mount[] {
  return [
    { source: folders.files, target: workspaceTarget, mode },
    { source: folders.git, target: `${workspaceTarget}/.git`, mode },
  ];
}

/**
 * Fills two empty folders with a repository that holds the history of `commit` and nothing else of the copy:
 * objects are copied, not shared, so that whoever works there can spoil only their own.
 * @param request.exclude paths that git must not see there: what a prepared set-up adds
 * @param request.branch made at `commit` and checked out; HEAD is detached where it is null
 */
export async function checkOut(
  git: Git,
  request: {
    repository: RepositoryHandle;
    commit: string;
    branch: string | null;
    identity: Signature;
    folders: CheckoutFolders;
    exclude?: string[] | undefined;
    gate?: Gate | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { repository, commit, branch, identity, folders, exclude = [], gate } = request;
  const script = `
git init -q --template= -b main
git config user.name "$3"
git config user.email "$4"
mkdir -p .git/info
cat > .git/info/exclude
git fetch -q --no-tags --no-write-fetch-head ${repositoryTarget} "$1"
git update-ref refs/mission/base "$1"
if [ -n "$2" ]; then
  git symbolic-ref HEAD "refs/heads/$2"
  git update-ref "refs/heads/$2" "$1"
else
  git update-ref --no-deref HEAD "$1"
fi
git reset -q --hard`;
  const result = await git.script(
    script,
    [requireObjectId(commit), branch ?? '', identity.name, identity.email],
    {
      cwd: workspaceTarget,
      stdin: exclude.map((path) => `/${path.replace(/[\\*?[\]#! ]/g, '\\$&')}\n`).join(''),
      mounts: [...checkoutMounts(folders), repositoryMount(repository, 'read')],
      limits: { timeoutMs: 900_000 },
      ...(gate ? { gate } : {}),
    },
    signal,
  );
  expectSuccess(result, `checking out ${commit} of ${repository.location}`);
}
