import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { CommandResult, Mount } from '../sandbox.ts';
import { exists } from './folders.ts';
import { expectSuccess, failureOf, type Git, isBranchName } from './git.ts';
import { type PathSource, resolveSource, type Source, sourceKey, unusable } from './source-location.ts';
import { explainSshFailure, openTransport } from './transport.ts';

/** The control plane's bare copy of one source. Agents' commands never see it. */
export interface RepositoryHandle {
  key: string;
  /** The host's path of the bare repository. */
  path: string;
  /** The source, normalised; what `deliver` and `readTarget` take. */
  location: string;
}

export interface Fetched {
  repository: RepositoryHandle;
  commit: string;
  branch: string;
  sourceKind: 'path' | 'url';
  source: Source;
  /** The source's work tree holds changes that are not in `commit`. */
  dirty: boolean;
  warnings: string[];
}

export const repositoryTarget = '/repository.git';

export function repositoryMount(repository: RepositoryHandle, mode: Mount['mode']): Mount {
  return { source: repository.path, target: repositoryTarget, mode };
}

/**
 * Brings a branch of a source into the control plane's copy. Nothing of the source runs, and a source on this
 * machine is only ever mounted for reading.
 * @param folder of all the copies
 * @param request.branch the source's checked-out or default branch where it is not given
 * @throws AppError `repository_unusable`, `no_such_branch`, each with what to do
 */
export async function fetchSource(
  git: Git,
  folder: string,
  request: { location: string; branch?: string | undefined },
  signal: AbortSignal,
): Promise<Fetched> {
  if (request.branch !== undefined && !isBranchName(request.branch)) {
    throw noSuchBranch(
      `${JSON.stringify(request.branch)} cannot be a branch's name: give one that the repository has`,
    );
  }
  const source = await resolveSource(request.location);
  const seen = await inspect(git, source, signal);
  const branch = chooseBranch(source.location, request.branch, seen);
  const repository = await ensureCopy(git, folder, source.location, signal);
  const commit = await bring(git, repository, source, branch, signal);
  const dirty = source.kind === 'path' && (await isDirty(git, source, signal));
  const warning = `${source.location} has changes that are not committed; the work starts from ${commit.slice(0, 10)} without them`;
  const warnings = dirty && seen.head === branch ? [warning] : [];
  return { repository, commit, branch, sourceKind: source.kind, source, dirty, warnings };
}

/**
 * Keeps a commit of the copy by a name that nothing else is ever given: that a lock of it is in the way means
 * that its writer was killed, or writes the very same.
 */
export const keepRef = `
keep_ref() {
  if git show-ref --quiet --verify "$1" || git update-ref "$1" "$2" || git show-ref --quiet --verify "$1"; then return; fi
  rm -f "$GIT_DIR/$1.lock"
  git update-ref "$1" "$2"
}
`;

/**
 * A stand-in for the source's git folder: its objects and refs under a configuration of ours, so that no git
 * ever reads the source's own. `$1` is the folder of HEAD and index relative to /source.git.
 */
export const makeView = `
mkdir -p /tmp/view/info
cd /tmp/view
ln -s /source.git/objects objects
ln -s /source.git/refs refs
if [ -e /source.git/packed-refs ]; then ln -s /source.git/packed-refs packed-refs; fi
cp "/source.git/$1/HEAD" HEAD
printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = true\\n' > config
export GIT_DIR=/tmp/view
`;

export function sourceMounts(source: PathSource, mode: Mount['mode']): Mount[] {
  return [{ source: source.commonDir, target: '/source.git', mode }];
}

export function gitDirInside(source: PathSource): string {
  return source.gitDir === source.commonDir ? '.' : source.gitDir.slice(source.commonDir.length + 1);
}

/**
 * Whether a work tree holds changes that are not committed, ignored files aside. Submodules are not looked
 * into, nor filters run (Git LFS: by the index's own record of size and time).
 */
export async function isDirty(git: Git, source: PathSource, signal: AbortSignal): Promise<boolean> {
  if (source.workTree === null) return false;
  const script = `${makeView}
if [ -e "/source.git/$1/index" ]; then cp "/source.git/$1/index" /tmp/index; fi
for shared in "/source.git/$1"/sharedindex.*; do if [ -e "$shared" ]; then cp "$shared" /tmp/view; fi; done
for key in core.filemode core.autocrlf; do
  if value=$(git config -f /source.git/config --get "$key"); then git config "$key" "$value"; fi
done
if [ -e /source.git/info/exclude ]; then cp /source.git/info/exclude info/exclude; fi
export GIT_INDEX_FILE=/tmp/index GIT_WORK_TREE=/source
cd /source
git status --porcelain -z --untracked-files=normal --ignore-submodules=all > /tmp/status
head -c 4096 /tmp/status`;
  const mounts: Mount[] = [
    ...sourceMounts(source, 'read'),
    { source: source.workTree, target: '/source', mode: 'read' },
  ];
  const result = await git.script(
    script,
    [gitDirInside(source)],
    { mounts, limits: { timeoutMs: 120_000 } },
    signal,
  );
  return expectSuccess(result, `looking for changes in ${source.location}`).length > 0;
}

interface Seen {
  /** The branch that HEAD names, whether or not it has a commit; null when detached. */
  head: string | null;
  branches: string[];
}

async function inspect(git: Git, source: Source, signal: AbortSignal): Promise<Seen> {
  return source.kind === 'path' ? inspectPath(git, source, signal) : inspectUrl(git, source.location, signal);
}

async function inspectPath(git: Git, source: PathSource, signal: AbortSignal): Promise<Seen> {
  const script = `${makeView}
git symbolic-ref -q HEAD || echo
git for-each-ref --format='%(refname)' refs/heads`;
  const result = await git.script(
    script,
    [gitDirInside(source)],
    { mounts: sourceMounts(source, 'read') },
    signal,
  );
  if (result.exitCode !== 0) throw fetchFailure(source.location, result);
  const [head, ...refs] = result.stdout.toString('utf8').split('\n');
  return { head: head ? branchOf(head) : null, branches: refs.filter((ref) => ref !== '').map(branchOf) };
}

async function inspectUrl(git: Git, location: string, signal: AbortSignal): Promise<Seen> {
  const transport = await openTransport(location, git.sshFolder);
  const result = await git.git(
    ['ls-remote', '--symref', '--', location, 'HEAD', 'refs/heads/*'],
    { ...transport, network: 'open', limits: { timeoutMs: 60_000 } },
    signal,
  );
  if (result.exitCode !== 0) throw fetchFailure(location, result);
  const seen: Seen = { head: null, branches: [] };
  for (const line of result.stdout.toString('utf8').split('\n')) {
    const symbolic = line.match(/^ref: (refs\/heads\/.+)\tHEAD$/)?.[1];
    if (symbolic !== undefined) seen.head = branchOf(symbolic);
    const ref = line.match(/^[0-9a-f]{40}\t(refs\/heads\/.+)$/)?.[1];
    if (ref !== undefined) seen.branches.push(branchOf(ref));
  }
  return seen;
}

function chooseBranch(location: string, wanted: string | undefined, seen: Seen): string {
  if (seen.branches.length === 0) {
    throw unusable(`${location} has no commit on any branch yet: commit something there first`);
  }
  const branch = wanted ?? seen.head;
  if (branch === null) {
    throw noSuchBranch(`${location} has no branch checked out: name one (${nearest('', seen.branches)})`);
  }
  if (seen.branches.includes(branch)) return branch;
  const known = nearest(branch, seen.branches);
  throw noSuchBranch(
    wanted === undefined
      ? `the branch ${branch} of ${location} has no commit yet: commit there, or name another (${known})`
      : `${location} has no branch ${branch}; the nearest are ${known}`,
  );
}

/** Up to five names, the likeliest first. */
function nearest(wanted: string, names: string[]): string {
  const pairs = (name: string) => new Set(Array.from(name, (_, index) => name.slice(index, index + 2)));
  const mine = pairs(wanted.toLowerCase());
  const score = (name: string) => [...pairs(name.toLowerCase())].filter((pair) => mine.has(pair)).length;
  return [...names]
    .sort((a, b) => score(b) - score(a) || a.length - b.length)
    .slice(0, 5)
    .join(', ');
}

/** Makes the copy once; of two at the same moment, one wins and both use it. */
async function ensureCopy(
  git: Git,
  folder: string,
  location: string,
  signal: AbortSignal,
): Promise<RepositoryHandle> {
  const key = sourceKey(location);
  const repository = { key, path: join(folder, `${key}.git`), location };
  if (await exists(repository.path)) return repository;
  const fresh = join(folder, `.new-${randomBytes(8).toString('hex')}`);
  await mkdir(fresh, { recursive: true });
  try {
    const mounts: Mount[] = [{ source: fresh, target: repositoryTarget, mode: 'write' }];
    const made = await git.git(['init', '-q', '--bare', '--template=', repositoryTarget], { mounts }, signal);
    expectSuccess(made, `making the copy of ${location}`);
    await rename(fresh, repository.path);
  } catch (error) {
    if (!(await exists(repository.path))) throw error;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return repository;
}

/**
 * Fetches under a name of its own and then keeps the commit under its id, so that several fetches of one
 * source never contend for a ref.
 */
async function bring(
  git: Git,
  repository: RepositoryHandle,
  source: Source,
  branch: string,
  signal: AbortSignal,
): Promise<string> {
  const script = `${keepRef}
${source.kind === 'path' ? makeView : ''}
export GIT_DIR=${repositoryTarget}
git fetch --quiet --no-tags --no-recurse-submodules --no-write-fetch-head --no-auto-gc -- "$2" "+refs/heads/$3:$4"
commit=$(git rev-parse --verify "$4^{commit}")
keep_ref "refs/mission/bases/$commit" "$commit"
git update-ref -d "$4"
echo "$commit"`;
  const path = source.kind === 'path';
  const transport = path ? null : await openTransport(source.location, git.sshFolder);
  const result = await git.script(
    script,
    [
      path ? gitDirInside(source) : '.',
      path ? '/tmp/view' : source.location,
      branch,
      `refs/mission/fetching/${randomBytes(8).toString('hex')}`,
    ],
    {
      mounts: [
        repositoryMount(repository, 'write'),
        ...(path ? sourceMounts(source, 'read') : (transport?.mounts ?? [])),
      ],
      ...(transport === null ? {} : { env: transport.env }),
      network: path ? 'none' : 'open',
      limits: { timeoutMs: 1_800_000 },
    },
    signal,
  );
  if (result.exitCode !== 0) throw fetchFailure(source.location, result);
  return result.stdout.toString('utf8').trim();
}

function fetchFailure(location: string, result: CommandResult): AppError {
  const said = failureOf(result);
  const ssh = explainSshFailure(location, said);
  if (ssh !== null) return unusable(ssh);
  if (/could not read Username|Authentication failed|terminal prompts disabled/.test(said)) {
    return unusable(
      `${location} asks for credentials, or does not exist: clone it on this machine and give the path`,
    );
  }
  if (/Could not resolve host|Failed to connect|Connection refused|timed out/i.test(said)) {
    return unusable(
      `${location} cannot be reached: check the address and this machine's network (${lastLine(said)})`,
    );
  }
  if (/not found|does not appear to be a git repository/i.test(said)) {
    return unusable(`${location} is not a git repository: check the address (${lastLine(said)})`);
  }
  if (/Permission denied/i.test(said)) {
    return unusable(
      `${location} may not be read by the user that Mission Control runs as (${lastLine(said)})`,
    );
  }
  return unusable(`${location} could not be fetched: ${said}; see \`git -C ${location} fsck\``);
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
const branchOf = (ref: string) => ref.replace(/^refs\/heads\//, '');

function noSuchBranch(message: string): AppError {
  return new AppError('no_such_branch', message);
}
