import type { Gate } from '../sandbox.ts';
import { type CheckoutFolders, checkoutMounts, workspaceTarget } from './checkout-folders.ts';
import { checkOutModules } from './checkout-modules.ts';
import { expectSuccess, type Git, requireObjectId } from './git.ts';
import { lfsMounts } from './lfs.ts';
import type { Signature } from './repository-content.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

/** Where the work goes on, if not at its base. */
export interface WorkStart {
  commit: string;
  /** The files of `commit` lie on top of the base, in the index and not committed. */
  uncommitted: boolean;
}

/**
 * Fills two empty folders with a repository that holds the history of `commit` and nothing else of the copy:
 * objects are copied, not shared, so that whoever works there can spoil only their own.
 * @param request.start what the folders hold at first; `commit` where it is not given
 * @param request.exclude paths that git must not see there: what a prepared set-up adds
 * @param request.branch made at `commit` and checked out; HEAD is detached where it is null
 */
export async function checkOut(
  git: Git,
  request: {
    repository: RepositoryHandle;
    commit: string;
    start?: WorkStart | undefined;
    branch: string | null;
    identity: Signature;
    folders: CheckoutFolders;
    exclude?: string[] | undefined;
    gate?: Gate | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { repository, commit, branch, identity, folders, exclude = [], gate } = request;
  const start = request.start ?? { commit, uncommitted: false };
  const script = `
git init -q --template= -b main
git config submodule.active .
git config user.name "$3"
git config user.email "$4"
mkdir -p .git/info
cat > .git/info/exclude
git fetch -q --no-tags --no-write-fetch-head ${repositoryTarget} "$1" "$5"
git update-ref refs/mission/base "$1"
if [ -n "$2" ]; then
  git symbolic-ref HEAD "refs/heads/$2"
  git update-ref "refs/heads/$2" "$5"
else
  git update-ref --no-deref HEAD "$5"
fi
git reset -q --hard
if [ -n "$6" ]; then git reset -q --soft "$1"; fi
if git ls-files -s | grep -q '^160000 '; then echo modules; fi`;
  const result = await git.script(
    script,
    [
      requireObjectId(commit),
      branch ?? '',
      identity.name,
      identity.email,
      requireObjectId(start.commit),
      start.uncommitted ? 'yes' : '',
    ],
    {
      cwd: workspaceTarget,
      stdin: exclude.map((path) => `/${path.replace(/[\\*?[\]#! ]/g, '\\$&')}\n`).join(''),
      mounts: [
        ...checkoutMounts(folders),
        repositoryMount(repository, 'read'),
        ...(await lfsMounts(repository)),
      ],
      limits: { timeoutMs: 900_000 },
      ...(gate ? { gate } : {}),
    },
    signal,
  );
  const said = expectSuccess(result, `checking out ${commit} of ${repository.location}`).toString('utf8');
  if (said.includes('modules')) await checkOutModules(git, { ...request, commit: start.commit }, signal);
}
