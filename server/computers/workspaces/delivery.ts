import { AppError } from '../../errors.ts';
import type { Gate } from '../sandbox.ts';
import { expectSuccess, type Git, isBranchName, requireObjectId } from './git.ts';
import { deliverLfs } from './lfs.ts';
import {
  gitDirInside,
  isDirty,
  keepRef,
  makeView,
  type RepositoryHandle,
  repositoryMount,
  sourceMounts,
} from './source-copy.ts';
import { type PathSource, resolveSource, workTreesOf } from './source-location.ts';

export interface TargetState {
  /** The branch's tip; null where there is no such branch. */
  commit: string | null;
  /** The work tree that holds the branch; null where none does. */
  checkedOutAt: string | null;
  /** That work tree has no changes; true where the branch is not checked out. */
  clean: boolean;
}

export interface Delivery {
  location: string;
  branch: string;
  commit: string;
  /** The tip that was checked; null where the branch must not exist. */
  expected: string | null;
  /** Looked at just before the branch moves. */
  gate?: Gate;
}

export type DeliveryResult =
  | { kind: 'moved' }
  | { kind: 'branch_checked_out'; path: string }
  | { kind: 'moved_meanwhile'; commit: string | null };

/** @throws AppError for a source with an address: pushing is not supported */
export async function readTarget(
  git: Git,
  location: string,
  branch: string,
  signal: AbortSignal,
): Promise<TargetState> {
  const source = await pathSource(location, branch);
  const { tip, bare } = await readTip(git, source, branch, signal);
  const holder = (await workTreesOf(source, bare)).find((tree) => tree.branches.includes(branch));
  if (!holder) return { commit: tip, checkedOutAt: null, clean: true };
  const held: PathSource = { ...source, gitDir: holder.gitDir, workTree: holder.path };
  const clean = tip === null || !(await isDirty(git, held, signal));
  return { commit: tip, checkedOutAt: holder.path, clean };
}

/**
 * Brings a commit into the source and moves a branch to it, by compare-and-swap, and never a branch that a
 * work tree holds. Only the source's git folder is mounted, its hooks and configuration have no effect, and
 * a repeat of what was done is 'moved'.
 */
export async function deliver(
  git: Git,
  repository: RepositoryHandle,
  delivery: Delivery,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const source = await pathSource(delivery.location, delivery.branch);
  return move(git, repository, source, delivery, signal);
}

/**
 * Shows a commit in the source as a branch of ours, made or moved.
 * @throws AppError `conflict` where the branch's tip is neither an ancestor of `commit` nor one that was published before
 */
export async function publishBranch(
  git: Git,
  repository: RepositoryHandle,
  request: { location: string; branch: `mission/${string}`; commit: string; gate?: Gate },
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const { branch } = request;
  if (!branch.startsWith('mission/')) {
    throw new AppError(
      'invalid_request',
      `${branch} is not a branch of ours: its name must start with mission/`,
    );
  }
  const source = await pathSource(request.location, branch);
  const { tip } = await readTip(git, source, branch, signal);
  if (tip !== null && tip !== request.commit && !(await isOurs(git, repository, request, tip, signal))) {
    throw new AppError(
      'conflict',
      `${branch} holds ${tip}, which is not ours: rename or remove it in ${source.location}`,
    );
  }
  await remember(git, repository, branch, request.commit, signal);
  return move(git, repository, source, { ...request, expected: tip }, signal);
}

async function move(
  git: Git,
  repository: RepositoryHandle,
  source: PathSource,
  delivery: Delivery,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const { branch } = delivery;
  const commit = requireObjectId(delivery.commit);
  const expected = delivery.expected === null ? null : requireObjectId(delivery.expected);
  const before = await readTip(git, source, branch, signal);
  if (before.tip === commit) return { kind: 'moved' };
  if (before.tip !== expected) return { kind: 'moved_meanwhile', commit: before.tip };
  await bringObjects(git, repository, source, delivery, signal);
  await deliverLfs(git, repository, source, delivery, signal);
  const holder = (await workTreesOf(source, before.bare)).find((tree) => tree.branches.includes(branch));
  if (holder) return { kind: 'branch_checked_out', path: holder.path };
  const none = '0'.repeat(40);
  const updated = await git.script(
    `${makeView}
if [ -e /source.git/logs ]; then ln -s /source.git/logs logs; git config core.logAllRefUpdates true; fi
# A lock that holds this very commit is of an attempt of ours that was killed before its last act.
lock=/source.git/refs/heads/$2.lock
if [ -f "$lock" ] && [ "$(cat "$lock")" = "$3" ]; then rm -f "$lock"; fi
git update-ref -m "mission: deliver" "refs/heads/$2" "$3" "$4"`,
    [gitDirInside(source), branch, commit, expected ?? none],
    {
      mounts: sourceMounts(source, 'write'),
      env: { GIT_COMMITTER_NAME: 'Mission Control', GIT_COMMITTER_EMAIL: 'mission@localhost' },
      ...gateOf(delivery),
    },
    signal,
  );
  if (updated.exitCode === 0) return { kind: 'moved' };
  const { tip } = await readTip(git, source, branch, signal);
  if (tip === commit) return { kind: 'moved' };
  if (tip !== expected) return { kind: 'moved_meanwhile', commit: tip };
  expectSuccess(updated, `moving ${branch} of ${source.location}`);
  return { kind: 'moved' };
}

/** As one pack, checked on its way in; what the source has already is left out. */
async function bringObjects(
  git: Git,
  repository: RepositoryHandle,
  source: PathSource,
  delivery: Delivery,
  signal: AbortSignal,
): Promise<void> {
  const script = `${makeView}
unset GIT_DIR
if git --git-dir=/tmp/view rev-list --objects --quiet "$2" --not --all 2> /tmp/missing; then exit 0; fi
git --git-dir=/tmp/view for-each-ref --format='%(objectname)' refs/heads > /tmp/tips
git --git-dir=/repository.git cat-file --batch-check='%(objectname)' < /tmp/tips | grep -v ' missing$' | sed 's/^/^/' > /tmp/have || true
{ echo "$2"; cat /tmp/have; } | git --git-dir=/repository.git pack-objects --revs --quiet --stdout > /tmp/objects.pack
git --git-dir=/tmp/view index-pack --strict --stdin < /tmp/objects.pack > /dev/null`;
  const result = await git.script(
    script,
    [gitDirInside(source), delivery.commit],
    {
      mounts: [repositoryMount(repository, 'read'), ...sourceMounts(source, 'write')],
      limits: { timeoutMs: 1_800_000 },
      ...gateOf(delivery),
    },
    signal,
  );
  expectSuccess(result, `bringing ${delivery.commit} into ${source.location}`);
}

async function readTip(
  git: Git,
  source: PathSource,
  branch: string,
  signal: AbortSignal,
): Promise<{ tip: string | null; bare: boolean }> {
  const script = `${makeView}
git rev-parse -q --verify "refs/heads/$2^{commit}" || echo
git config -f /source.git/config --type=bool core.bare || echo false`;
  const options = { mounts: sourceMounts(source, 'read') };
  const result = await git.script(script, [gitDirInside(source), branch], options, signal);
  const [tip = '', bare] = expectSuccess(result, `reading ${branch} of ${source.location}`)
    .toString('utf8')
    .split('\n');
  return { tip: tip === '' ? null : tip, bare: bare === 'true' };
}

/** Whether a tip found in the source may be left behind: it is in the new history, or we put it there. */
async function isOurs(
  git: Git,
  repository: RepositoryHandle,
  request: { branch: string; commit: string },
  tip: string,
  signal: AbortSignal,
): Promise<boolean> {
  const script = `
git show-ref --quiet --verify "refs/mission/published/$1/$2" ||
  { git cat-file -e "$2^{commit}" 2> /dev/null && git merge-base --is-ancestor "$2" "$3"; }`;
  const options = { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: '/repository.git' } };
  const args = [request.branch, requireObjectId(tip), requireObjectId(request.commit)];
  return (await git.script(script, args, options, signal)).exitCode === 0;
}

/** Before the branch moves, so that a crash in between cannot make our own branch look foreign. */
async function remember(
  git: Git,
  repository: RepositoryHandle,
  branch: string,
  commit: string,
  signal: AbortSignal,
): Promise<void> {
  const options = { mounts: [repositoryMount(repository, 'write')], env: { GIT_DIR: '/repository.git' } };
  const args = [`refs/mission/published/${branch}/${requireObjectId(commit)}`, commit];
  const kept = await git.script(`${keepRef}keep_ref "$1" "$2"`, args, options, signal);
  expectSuccess(kept, `noting ${branch}`);
}

async function pathSource(location: string, branch: string): Promise<PathSource> {
  if (!isBranchName(branch))
    throw new AppError('no_such_branch', `${JSON.stringify(branch)} cannot be a branch's name`);
  const source = await resolveSource(location);
  if (source.kind === 'path') return source;
  throw new AppError(
    'unprocessable',
    `${location} cannot be written to: pushing to an address is not supported yet; clone it on this machine and give the path`,
  );
}

function gateOf(delivery: Delivery): { gate?: Gate } {
  return delivery.gate ? { gate: delivery.gate } : {};
}
