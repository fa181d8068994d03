import { isIP } from 'node:net';
import { dirname, posix } from 'node:path';
import { AppError } from '../../errors.ts';
import { failureOf, type Git, isRepositoryPath, requireObjectId, splitNul } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';
import { sshHostOf } from './transport.ts';

/** A submodule of one commit. */
export interface SubmoduleLink {
  /** From the root of the repository that holds it. */
  path: string;
  commit: string;
  /** As .gitmodules calls it; null where that names no such path. */
  name: string | null;
  url: string | null;
  /** `update = none`: git itself leaves it empty. */
  left: boolean;
  /** The copy holds its commit with all its history. */
  kept: boolean;
}

/** Where a submodule's commit is kept in the copy of the repository that it is part of. */
export const moduleRefs = 'refs/mission/modules';

/** The submodules of a commit, by its tree; .gitmodules is read as data, its commands and options have no effect. */
export async function readSubmoduleLinks(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<SubmoduleLink[]> {
  const script = `
git ls-tree -r -z "$1" > /tmp/tree
grep -z '^160000 ' /tmp/tree || exit 0
case "$(git ls-tree "$1" -- .gitmodules)" in
  100*)
    printf 'config\\000'
    git config --no-includes --blob "$1:.gitmodules" -z --list || exit 10 ;;
esac
printf 'refs\\000'
git for-each-ref --format='%(refname:lstrip=3)' ${moduleRefs} | tr '\\n' '\\000'`;
  const options = { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: repositoryTarget } };
  const result = await git.script(script, [requireObjectId(commit)], options, signal);
  if (result.exitCode === 10)
    throw wrong(repository, `its .gitmodules cannot be read (${failureOf(result)})`);
  if (result.exitCode !== 0 || result.stdoutTruncated)
    throw wrong(repository, `its submodules cannot be listed (${failureOf(result)})`);
  return parseLinks(splitNul(result.stdout));
}

/** What a submodule's address comes to. */
export type SubmoduleAddress =
  | { kind: 'url'; location: string }
  | { kind: 'path'; location: string }
  | { kind: 'refused'; reason: string };

/**
 * Where a submodule is to be had. The content of a repository may name servers, and beside a repository on this
 * machine its neighbours, but no other place here: no path, no command, and no address that only this machine reaches
 * unless the repository itself came from there.
 * @param base where the repository that holds it came from: an address, or a path on this machine
 */
export function resolveSubmoduleUrl(url: string, base: string): SubmoduleAddress {
  const relative = /^\.\.?(\/|$)/.test(url);
  const whole = relative ? resolveRelative(url, base) : url;
  if (whole === null) return { kind: 'refused', reason: 'it leads out of where its repository is' };
  if (relative && base.startsWith('/')) return { kind: 'path', location: whole };
  const own = hostOf(base);
  const privately = {
    kind: 'refused',
    reason: 'it names a private machine that the repository did not come from',
  } as const;
  const sshHost = sshHostOf(whole);
  if (sshHost !== null)
    return isPrivateHost(sshHost) && sshHost !== own ? privately : { kind: 'url', location: whole };
  if (!/^https?:\/\//.test(whole) || !URL.canParse(whole)) {
    return {
      kind: 'refused',
      reason: 'only https:// and ssh:// addresses, and neighbours by ../, are fetched',
    };
  }
  const { hostname, username, password, href } = new URL(whole);
  if (username || password) return { kind: 'refused', reason: 'it holds a user name or password' };
  if (isPrivateHost(hostname) && hostname !== own) return privately;
  return { kind: 'url', location: href };
}

function hostOf(base: string): string | null {
  return sshHostOf(base) ?? (URL.canParse(base) ? new URL(base).hostname : null);
}

/** Git's rule for relative addresses, without its leave to climb above the repository's own folder. */
function resolveRelative(url: string, base: string): string | null {
  if (base.startsWith('/')) {
    const path = posix.join(base, url).replace(/\/+$/, '');
    const around = dirname(base);
    const inside = around === '/' ? path.length > 1 : path.startsWith(`${around}/`);
    return inside && path !== base ? path : null;
  }
  const [, root = '', path = ''] = base.match(/^(https?:\/\/[^/]+\/|ssh:\/\/[^/]+\/|[^/:]+:)(.*)$/) ?? [];
  const joined = posix.normalize(posix.join(path.replace(/\/+$/, '') || '.', url)).replace(/\/+$/, '');
  if (root === '' || joined === '.' || joined.split('/').includes('..')) return null;
  return `${root}${joined}`;
}

/** Addresses by number and names that only this machine or its network answers to. */
function isPrivateHost(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (/(^|\.)(localhost|local|internal)$/.test(name)) return true;
  if (isIP(name) === 4)
    return /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
      name,
    );
  return isIP(name) === 6 && /^(::|f[cd]|fe[89ab])/.test(name);
}

function parseLinks(records: string[]): SubmoduleLink[] {
  const config = records.indexOf('config');
  const refs = records.indexOf('refs');
  if (refs < 0) return [];
  const kept = new Set(records.slice(refs + 1));
  const settings = config < 0 ? [] : records.slice(config + 1, refs);
  const modules = new Map<string, Map<string, string>>();
  for (const record of settings) {
    const [key = '', ...value] = record.split('\n');
    const [, name, setting] = key.match(/^submodule\.(.+)\.(\w+)$/s) ?? [];
    if (name === undefined || setting === undefined) continue;
    const known = modules.get(name) ?? new Map<string, string>();
    modules.set(name, known.set(setting, value.join('\n')));
  }
  return records.slice(0, config < 0 ? refs : config).flatMap((record) => {
    const [, commit = '', path = ''] = record.match(/^160000 commit ([0-9a-f]{40})\t(.*)$/s) ?? [];
    if (!isRepositoryPath(path)) return [];
    const found = [...modules].find(([, settings]) => settings.get('path') === path);
    return [
      {
        path,
        commit,
        name: found?.[0] ?? null,
        url: found?.[1].get('url') ?? null,
        left: found?.[1].get('update') === 'none',
        kept: kept.has(commit),
      },
    ];
  });
}

function wrong(repository: RepositoryHandle, reason: string): AppError {
  return new AppError('repository_unusable', `${repository.location}: ${reason}`);
}
