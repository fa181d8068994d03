import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { isMissing } from './folders.ts';
import { failureOf, type Git, isRepositoryPath } from './git.ts';
import {
  gitDirInside,
  keepRef,
  makeView,
  type RepositoryHandle,
  repositoryMount,
  repositoryTarget,
  sourceMounts,
} from './source-copy.ts';
import { type PathSource, resolveSource, type Source } from './source-location.ts';
import {
  moduleRefs,
  readSubmoduleLinks,
  resolveSubmoduleUrl,
  type SubmoduleLink,
} from './submodule-links.ts';
import { openTransport } from './transport.ts';

const deepest = 10;
const most = 200;

/** A repository whose submodules are wanted: itself, or a submodule that has been brought. */
interface Holder {
  commit: string;
  /** From the root of the whole. */
  prefix: string;
  /** What relative addresses start from: an address, or a path on this machine. */
  base: string;
  /** The repository on this machine that the source's owner has for it; null where there is none. */
  local: PathSource | null;
  depth: number;
}

/**
 * Brings the submodules of a commit, and theirs, into the copy of the repository itself: first from what the
 * source on this machine has of them already (its owner's own clones), else from their addresses.
 * @returns warnings
 * @throws AppError `repository_unusable` that names the submodule and says what to do
 */
export async function bringSubmodules(
  git: Git,
  repository: RepositoryHandle,
  source: Source,
  commit: string,
  signal: AbortSignal,
): Promise<string[]> {
  const warnings: string[] = [];
  const local = source.kind === 'path' ? source : null;
  const root: Holder = { commit, prefix: '', base: source.location, local, depth: 0 };
  const waiting = [root];
  let count = 0;
  for (let holder = waiting.pop(); holder; holder = waiting.pop()) {
    const links = await readSubmoduleLinks(git, repository, holder.commit, signal);
    if (links.length > 0 && holder === root && local !== null)
      holder.base = (await readOrigin(git, local, signal)) ?? holder.base;
    for (const link of links) {
      const path = `${holder.prefix}${link.path}`;
      if (link.left) continue;
      if (link.name === null || link.url === null) {
        warnings.push(`${path} is a submodule without an address in .gitmodules; it stays empty`);
        continue;
      }
      count += 1;
      if (count > most || holder.depth >= deepest) {
        throw unusable(`${repository.location} has too many submodules, or they hold each other (${path})`);
      }
      waiting.push(await bringOne(git, repository, { holder, link, path, source }, signal));
    }
  }
  return warnings;
}

/** Paths of submodules that a commit names and that neither the source nor their address has given. */
export async function findMissingSubmodules(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<string[]> {
  const links = await readSubmoduleLinks(git, repository, commit, signal);
  return links.filter((link) => isWanted(link) && !link.kept).map((link) => link.path);
}

export const isWanted = (link: SubmoduleLink) => !link.left && link.name !== null && link.url !== null;

async function bringOne(
  git: Git,
  repository: RepositoryHandle,
  wanted: { holder: Holder; link: SubmoduleLink; path: string; source: Source },
  signal: AbortSignal,
): Promise<Holder> {
  const { holder, link, path, source } = wanted;
  const address = resolveSubmoduleUrl(link.url ?? '', holder.base);
  const clone = await findOwnClone(holder.local, link);
  const brought: Holder = {
    commit: link.commit,
    prefix: `${path}/`,
    base: address.kind === 'refused' ? holder.base : address.location,
    local: clone,
    depth: holder.depth + 1,
  };
  if (link.kept) return brought;
  if (clone !== null && (await fetchCommit(git, repository, clone, link.commit, signal)) === null)
    return brought;
  const init =
    source.kind === 'path'
      ? `: run \`git -C ${source.location} submodule update --init --recursive\` there first`
      : '';
  const what = `the submodule ${path} of ${repository.location}`;
  if (address.kind === 'refused')
    throw unusable(
      `${what} has the address ${JSON.stringify(link.url)}, which is not fetched (${address.reason})${init}`,
    );
  // A path comes from a repository on this machine alone, and is beside it.
  const from: Source =
    address.kind === 'path'
      ? await resolveNeighbour(address.location, what, init)
      : { kind: 'url', location: address.location };
  const reason = await fetchCommit(git, repository, from, link.commit, signal);
  if (reason === null) return { ...brought, local: from.kind === 'path' ? from : null };
  throw unusable(
    `${what} could not be fetched from ${address.location} at ${link.commit.slice(0, 10)} (${reason})${init}`,
  );
}

async function resolveNeighbour(location: string, what: string, init: string): Promise<PathSource> {
  try {
    const found = await resolveSource(location);
    // A link beside the repository could lead anywhere.
    if (found.kind === 'path' && found.location === location) return found;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw unusable(`${what} is not to be had: ${error.message}${init}`);
  }
  throw unusable(`${what} is at ${location}, which leads elsewhere${init}`);
}

/** What `git submodule update` made in the source, by its owner's own hand. Nothing outside the source. */
async function findOwnClone(holder: PathSource | null, link: SubmoduleLink): Promise<PathSource | null> {
  if (holder === null || link.name === null) return null;
  const places = isRepositoryPath(link.name) ? [join(holder.commonDir, 'modules', link.name)] : [];
  if (holder.workTree !== null) places.push(join(holder.workTree, link.path));
  for (const place of places) {
    try {
      if ((await realpath(place)) !== place) continue;
      const found = await resolveSource(place);
      if (found.kind !== 'path' || found.location !== place) continue;
      const inside = [holder.commonDir, holder.workTree].some(
        (root) => root !== null && found.commonDir.startsWith(`${root}/`),
      );
      if (inside) return found;
    } catch (error) {
      // What is not there, or not usable, is had from its address.
      if (!isMissing(error) && !(error instanceof AppError)) throw error;
    }
  }
  return null;
}

/** @returns null when the copy holds the commit, else why not */
async function fetchCommit(
  git: Git,
  repository: RepositoryHandle,
  source: Source,
  commit: string,
  signal: AbortSignal,
): Promise<string | null> {
  const path = source.kind === 'path';
  const script = `${keepRef}
${path ? makeView : ''}
export GIT_DIR=${repositoryTarget}
take() { git fetch --quiet --no-tags --no-recurse-submodules --no-write-fetch-head --no-auto-gc -- "$@"; }
# Not every server gives a commit by its id alone.
if ! take "$2" "$3:refs/mission/fetching/$4/commit" 2> /tmp/complaint; then
  take "$2" "+refs/heads/*:refs/mission/fetching/$4/heads/*" "+refs/tags/*:refs/mission/fetching/$4/tags/*"
fi
status=0
git cat-file -e "$3^{commit}" 2> /dev/null && git rev-list --objects --quiet "$3" && keep_ref "${moduleRefs}/$3" "$3" || status=10
git for-each-ref --format='delete %(refname)' "refs/mission/fetching/$4" | git update-ref --stdin
exit $status`;
  const transport = path ? null : await openTransport(source.location, git.sshFolder);
  const result = await git.script(
    script,
    [
      path ? gitDirInside(source) : '.',
      path ? '/tmp/view' : source.location,
      commit,
      randomBytes(8).toString('hex'),
    ],
    {
      mounts: [
        repositoryMount(repository, 'write'),
        ...(path ? sourceMounts(source, 'read') : (transport?.mounts ?? [])),
      ],
      network: path ? 'none' : 'open',
      limits: { timeoutMs: 1_800_000 },
      ...(transport === null ? {} : { env: transport.env }),
    },
    signal,
  );
  if (result.exitCode === 0) return null;
  if (result.exitCode === 10) return 'it does not have that commit';
  return failureOf(result).split('\n').at(-1) ?? '';
}

/** What the source was cloned from, by its own configuration; null where that is no address or path. */
export async function readOrigin(git: Git, source: PathSource, signal: AbortSignal): Promise<string | null> {
  const script = 'git config -f /source.git/config --get remote.origin.url || true';
  const read = await git.script(script, [], { mounts: sourceMounts(source, 'read') }, signal);
  const origin = read.stdout.toString('utf8').trim();
  return /^(https?|ssh):\/\/|^\/|^[\w.-]+@[\w.-]+:/.test(origin) ? origin : null;
}

function unusable(message: string): AppError {
  return new AppError('repository_unusable', message);
}
