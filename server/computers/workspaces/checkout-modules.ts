import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Gate } from '../sandbox.ts';
import { type CheckoutFolders, checkoutMounts, workspaceTarget } from './checkout-folders.ts';
import { expectSuccess, type Git, isRepositoryPath } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';
import { readSubmoduleLinks } from './submodule-links.ts';
import { isWanted } from './submodules.ts';

interface Module {
  path: string;
  commit: string;
  /** Below the checkout's git folder, as git itself lays it out. */
  gitFolder: string;
}

/**
 * Fills the submodules of a checkout, and theirs, from the copy; nothing is fetched. Each has a repository of
 * its own in `.git/modules`, so that it can be worked in; those without an address stay empty.
 * @throws AppError `unprocessable` where the copy lacks a submodule's commit
 */
export async function checkOutModules(
  git: Git,
  request: {
    repository: RepositoryHandle;
    commit: string;
    folders: CheckoutFolders;
    gate?: Gate | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { repository, commit, folders, gate } = request;
  const modules = await listModules(git, repository, { commit, path: '', gitFolder: '' }, signal);
  if (modules.length === 0) return;
  const script = `
while [ "$#" -gt 0 ]; do
  mkdir -p -- ".git/$3"
  git init -q --template= -b main --separate-git-dir=".git/$3" -- "$1"
  git -C "./$1" config submodule.active .
  printf 'gitdir: %s\\n' "$(realpath --relative-to="$1" ".git/$3")" > "$1/.git"
  git -C "./$1" fetch -q --no-tags --no-write-fetch-head ${repositoryTarget} "$2"
  # A ref, too: snapshots keep no empty folders, and without its folder of refs it is no repository.
  git -C "./$1" update-ref refs/mission/base "$2"
  git -C "./$1" update-ref --no-deref HEAD "$2"
  git -C "./$1" reset -q --hard
  shift 3
done`;
  const result = await git.script(
    script,
    modules.flatMap(({ path, commit: at, gitFolder }) => [path, at, gitFolder]),
    {
      cwd: workspaceTarget,
      mounts: [...checkoutMounts(folders), repositoryMount(repository, 'read')],
      limits: { timeoutMs: 900_000 },
      ...(gate ? { gate } : {}),
    },
    signal,
  );
  expectSuccess(result, `checking out the submodules of ${commit}`);
}

async function listModules(
  git: Git,
  repository: RepositoryHandle,
  holder: Module,
  signal: AbortSignal,
): Promise<Module[]> {
  const found: Module[] = [];
  for (const link of await readSubmoduleLinks(git, repository, holder.commit, signal)) {
    if (!isWanted(link)) continue;
    const path = holder.path === '' ? link.path : `${holder.path}/${link.path}`;
    if (!link.kept) {
      throw new AppError(
        'unprocessable',
        `the submodule ${path} points to ${link.commit}, which is not in what was fetched: point it to a commit that its repository has`,
      );
    }
    const module = {
      path,
      commit: link.commit,
      gitFolder: `${holder.gitFolder}modules/${folderName(link.name ?? '')}`,
    };
    found.push(module);
    const inner = { ...module, gitFolder: `${module.gitFolder}/` };
    found.push(...(await listModules(git, repository, inner, signal)));
  }
  return found;
}

/** The name is the repository's own word: what git would not take as a folder's name becomes a hash. */
function folderName(name: string): string {
  const plain =
    isRepositoryPath(name) && /^[\w][\w./ -]*$/.test(name) && !name.split('/').includes('modules');
  return plain ? name : createHash('sha256').update(name).digest('hex').slice(0, 16);
}
