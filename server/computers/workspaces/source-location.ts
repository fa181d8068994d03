import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError, messageOf } from '../../errors.ts';
import { sshHostOf } from './transport.ts';

/** A repository on this machine, found by reading small files only: no git runs outside the sandbox. */
export interface PathSource {
  kind: 'path';
  /** The real path that was given; the work tree's root or the bare repository. */
  location: string;
  /** Where objects, refs and configuration are, shared by all linked work trees. */
  commonDir: string;
  /** Where this work tree's HEAD and index are; `commonDir` itself or a folder in it. */
  gitDir: string;
  workTree: string | null;
}

export interface UrlSource {
  kind: 'url';
  location: string;
}

export type Source = PathSource | UrlSource;

/**
 * @param location an absolute path, `file://`, `https://`, `http://`, `ssh://` or `git@host:path`
 * @throws AppError `repository_unusable` with what to do
 */
export async function resolveSource(location: string): Promise<Source> {
  if (/^https?:\/\//.test(location)) return { kind: 'url', location: checkedUrl(location) };
  if (sshHostOf(location) !== null) return { kind: 'url', location };
  if (location.startsWith('file://')) return resolvePath(pathOfUrl(location));
  if (location.startsWith('/')) return resolvePath(location);
  if (/^[a-z+]+:\/\/|^[^/]+@[^/]+:/i.test(location)) {
    throw unusable(
      `${location} cannot be fetched: give a path, or an https://, ssh:// or git@host:path address`,
    );
  }
  throw unusable(
    `${location} is not an absolute path: give the repository's full path, or its https:// address`,
  );
}

/** The name of a source's copy: 16 hex digits. */
export function sourceKey(location: string): string {
  return createHash('sha256').update(location).digest('hex').slice(0, 16);
}

export interface WorkTreeHead {
  path: string;
  gitDir: string;
  /** The branch that is checked out there, or that a rebase there will come back to; null when detached. */
  branches: string[];
}

/** Every work tree of a source, the main one and the linked ones, with what each holds. */
export async function workTreesOf(source: PathSource, bare: boolean): Promise<WorkTreeHead[]> {
  const found: WorkTreeHead[] = [];
  if (!bare) {
    const path = basename(source.commonDir) === '.git' ? dirname(source.commonDir) : source.location;
    found.push({ path, gitDir: source.commonDir, branches: await branchesHeld(source.commonDir) });
  }
  const linked = join(source.commonDir, 'worktrees');
  for (const name of await namesIn(linked)) {
    const gitDir = join(linked, name);
    const pointer = await textOf(join(gitDir, 'gitdir'));
    if (pointer === null) continue;
    const path = dirname(resolve(gitDir, pointer.trim()));
    found.push({ path, gitDir, branches: await branchesHeld(gitDir) });
  }
  return found;
}

async function branchesHeld(gitDir: string): Promise<string[]> {
  const head = (await textOf(join(gitDir, 'HEAD')))?.match(/^ref: refs\/heads\/(.+?)\n?$/)?.[1];
  const held = head === undefined ? [] : [head];
  for (const file of ['rebase-merge/head-name', 'rebase-apply/head-name']) {
    const name = (await textOf(join(gitDir, file)))?.trim().replace(/^refs\/heads\//, '');
    if (name) held.push(name);
  }
  const bisected = (await textOf(join(gitDir, 'BISECT_START')))?.trim();
  if (bisected) held.push(bisected);
  return held;
}

async function resolvePath(given: string): Promise<PathSource> {
  const location = await realPathOf(given);
  const dotGit = join(location, '.git');
  const entry = await lstatOf(dotGit);
  if (entry === null) {
    if (await looksLikeGitDir(location)) {
      return checkedSource({ kind: 'path', location, commonDir: location, gitDir: location, workTree: null });
    }
    throw unusable(
      `${location} is not a git repository: run \`git init\` there and commit, or give another path`,
    );
  }
  const gitDir = entry.isFile() ? await followGitFile(location, dotGit) : await realPathOf(dotGit);
  const common = await textOf(join(gitDir, 'commondir'));
  const commonDir = common === null ? gitDir : await realPathOf(resolve(gitDir, common.trim()));
  if (!(await looksLikeGitDir(commonDir))) {
    throw unusable(
      `${location} is not a usable git repository: its ${dotGit} holds none; see \`git -C ${location} status\``,
    );
  }
  return checkedSource({ kind: 'path', location, commonDir, gitDir, workTree: location });
}

async function followGitFile(location: string, file: string): Promise<string> {
  const target = (await textOf(file))?.match(/^gitdir: (.+?)\n?$/)?.[1];
  if (target === undefined) throw unusable(`${file} names no repository; see \`git -C ${location} status\``);
  return realPathOf(resolve(location, target));
}

/** Refuses what a plain copy of the objects would get wrong. */
async function checkedSource(source: PathSource): Promise<PathSource> {
  const { commonDir, location } = source;
  if (!source.gitDir.startsWith(`${commonDir}/`) && source.gitDir !== commonDir) {
    throw unusable(
      `${location} keeps its HEAD outside its repository (${source.gitDir}); give the main work tree`,
    );
  }
  if ((await lstatOf(join(commonDir, 'shallow'))) !== null) {
    throw unusable(`${location} is a shallow clone: run \`git -C ${location} fetch --unshallow\` first`);
  }
  if (((await textOf(join(commonDir, 'objects/info/alternates'))) ?? '').trim() !== '') {
    throw unusable(
      `${location} borrows objects from another repository: run \`git -C ${location} repack -a -d\` and remove ${commonDir}/objects/info/alternates first`,
    );
  }
  const config = (await textOf(join(commonDir, 'config'))) ?? '';
  if (/^\s*objectformat\s*=\s*"?sha256/im.test(config)) {
    throw unusable(`${location} uses SHA-256 object names, which are not supported; convert it to SHA-1`);
  }
  if (/^\s*refstorage\s*=\s*"?reftable/im.test(config)) {
    throw unusable(
      `${location} keeps its refs as a reftable: run \`git -C ${location} refs migrate --ref-format=files\``,
    );
  }
  return source;
}

async function looksLikeGitDir(path: string): Promise<boolean> {
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map((name) => lstatOf(join(path, name))));
  return parts.every((part) => part !== null);
}

async function realPathOf(path: string): Promise<string> {
  try {
    const real = await realpath(path);
    if (!(await stat(real)).isDirectory()) throw unusable(`${path} is a file: give the repository's folder`);
    await readdir(real);
    return real;
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw unusable(`${path} does not exist: check the path`);
    if (code === 'EACCES' || code === 'EPERM') {
      throw unusable(
        `${path} may not be read by the user that Mission Control runs as: grant it read access`,
      );
    }
    throw unusable(`${path} cannot be read: ${messageOf(error)}`);
  }
}

async function lstatOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isAbsence(error)) return null;
    throw unusable(`${path} cannot be read: ${messageOf(error)}`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

async function textOf(file: string): Promise<string | null> {
  try {
    const found = await stat(file);
    if (!found.isFile() || found.size > 1024 ** 2) return null;
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isAbsence(error)) return null;
    throw unusable(`${file} cannot be read: ${messageOf(error)}`);
  }
}

function checkedUrl(location: string): string {
  if (!URL.canParse(location)) throw unusable(`${location} is not a valid address`);
  const url = new URL(location);
  if (url.username || url.password) {
    throw unusable('the address holds a user name or password, which must not be stored; give it without');
  }
  return url.href;
}

function pathOfUrl(location: string): string {
  try {
    return fileURLToPath(location);
  } catch {
    throw unusable(`${location} is not a file address of this machine: use file:///path`);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function isAbsence(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export function unusable(message: string): AppError {
  return new AppError('repository_unusable', message);
}
