import { posix } from 'node:path';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { type DiscoveredSetup, discoverParts, type RootReader } from '../computers/workspaces/setups.ts';
import { folderAndAbove, foldersNamedIn, inFolder, partsBelow } from '../domain/checks/check-folders.ts';
import { discoverChecks, type RepositoryReader } from '../domain/checks/discover.ts';
import { AppError } from '../errors.ts';
import type { Computer } from './parts.ts';

/** The files of one commit. */
export interface CommitFiles {
  paths: readonly string[];
  read(path: string): Promise<string | null>;
}

const mostParts = 10;
const lockfileNames = new Set(
  'package-lock.json npm-shrinkwrap.json pnpm-lock.yaml yarn.lock uv.lock poetry.lock requirements.txt go.sum Cargo.lock'.split(
    ' ',
  ),
);
const manifestNames = new Set(
  'package.json pyproject.toml pytest.ini setup.cfg tox.ini go.mod Cargo.toml Makefile makefile GNUmakefile'.split(
    ' ',
  ),
);
/** Manifests without which a lockfile is of no use, and which alone pin nothing. */
const unlocked = new Set(['package.json', 'pyproject.toml', 'go.mod', 'Cargo.toml']);

export async function openCommitFiles(
  computer: Computer,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<CommitFiles> {
  const files = await computer.content.listFiles(repository, commit, signal);
  return {
    paths: files.map((file) => file.path),
    read: async (path) =>
      (await computer.content.readFile(repository, commit, path, signal))?.toString('utf8') ?? null,
  };
}

/** @throws AppError `unprocessable` where the commit has no such folder */
export function requireFolder(files: CommitFiles, folder: string, place: string): void {
  if (folder === '' || files.paths.some((path) => path.startsWith(`${folder}/`))) return;
  const known = new Set(files.paths.map((path) => posix.dirname(path)).filter((path) => path !== '.'));
  const name = posix.basename(folder);
  const like = [...known].filter((path) => path.split('/').includes(name)).slice(0, 3);
  const shown = like.length > 0 ? like : [...known].filter((path) => !path.includes('/')).slice(0, 5);
  const hint = shown.length > 0 ? `; there are ${shown.join(', ')}` : '';
  throw new AppError('unprocessable', `${place} has no folder ${folder}${hint}: give another with --folder`);
}

/**
 * The lines that prepare a folder of the project, each run from the root: by language, the nearest lockfile at
 * or above the folder; the same for folders that the checks work in; and where all these have none, the
 * parts below that have lockfiles of their own.
 */
export async function findSetupCommands(
  files: CommitFiles,
  folder: string,
  checks: readonly string[],
): Promise<string[]> {
  const found = new Map<string, string[]>();
  const add = async (start: string) => {
    for (const { at, setup } of await nearestSetups(files, start)) {
      const lines = setup.commands.map((command) => inFolder(at, command));
      found.set(`${at}\0${lines.join('\0')}`, lines);
    }
  };
  for (const start of new Set([folder, ...foldersNamedIn(checks)])) await add(start);
  if (found.size === 0)
    for (const part of partsBelow(files.paths, folder, lockfileNames).slice(0, mostParts)) await add(part);
  return [...found.entries()].sort(([a], [b]) => depth(a) - depth(b)).flatMap(([, lines]) => lines);
}

/** The files that decide what set-up lines give: lockfiles of the root and of the folders that they work in. */
export async function findLockfiles(
  files: CommitFiles,
  commands: readonly string[],
): Promise<{ path: string; content: string }[]> {
  const paths = new Set<string>();
  for (const folder of ['', ...foldersNamedIn(commands)]) {
    for (const part of await discoverParts(readerAt(files, folder)))
      for (const name of part?.lockfiles ?? []) paths.add(posix.join(folder, name));
  }
  return Promise.all([...paths].map(async (path) => ({ path, content: (await files.read(path)) ?? '' })));
}

/** The checks of a folder; where it has none, those of the parts below it. */
export async function findCheckCommands(
  files: CommitFiles,
  folder: string,
): Promise<{ checks: string[]; checksReason: string }> {
  const own = await discoverChecks(checkReader(files, folder));
  if (own.commands.length > 0)
    return { checks: own.commands.map((command) => inFolder(folder, command)), checksReason: own.reason };
  const checks: string[] = [];
  const reasons: string[] = [];
  for (const part of partsBelow(files.paths, folder, manifestNames)) {
    const found = await discoverChecks(checkReader(files, part));
    if (found.commands.length === 0 || checks.length + found.commands.length > mostParts) continue;
    checks.push(...found.commands.map((command) => inFolder(part, command)));
    reasons.push(`in ${part}, ${found.reason}`);
  }
  return { checks, checksReason: reasons.length > 0 ? reasons.join('; ') : own.reason };
}

async function nearestSetups(
  files: CommitFiles,
  start: string,
): Promise<{ at: string; setup: DiscoveredSetup }[]> {
  const levels = await Promise.all(
    folderAndAbove(start).map(async (at) => ({ at, parts: await discoverParts(readerAt(files, at)) })),
  );
  const languages = levels[0]?.parts.length ?? 0;
  const chosen: { at: string; setup: DiscoveredSetup }[] = [];
  for (let language = 0; language < languages; language++) {
    const here = levels.flatMap(({ at, parts }) => {
      const setup = parts[language];
      return setup ? [{ at, setup }] : [];
    });
    const locked = here.find(({ setup }) => setup.lockfiles.some((name) => !unlocked.has(name)));
    const nearest = here[0];
    if (locked !== undefined) chosen.push(locked);
    // Its own dependencies are not the workspace's, which its parent's lockfile would hold.
    const apart = locked === undefined || !(await hasWorkspaces(files, locked.at));
    if (nearest !== undefined && nearest !== locked && apart) chosen.push(nearest);
  }
  return chosen;
}

async function hasWorkspaces(files: CommitFiles, folder: string): Promise<boolean> {
  if (files.paths.includes(posix.join(folder, 'pnpm-workspace.yaml'))) return true;
  const read = (name: string) => files.read(posix.join(folder, name));
  return (
    /"workspaces"\s*:/.test((await read('package.json')) ?? '') ||
    /^\[(tool\.uv\.)?workspace\]/m.test(`${await read('pyproject.toml')}\n${await read('Cargo.toml')}`)
  );
}

function readerAt(files: CommitFiles, folder: string): RootReader {
  const known = new Set(files.paths);
  return async (name) => {
    const path = posix.join(folder, name);
    return known.has(path) ? files.read(path) : null;
  };
}

/** A package manager's lockfile may lie above the folder, in the root of its workspace. */
function checkReader(files: CommitFiles, folder: string): RepositoryReader {
  const known = new Set(files.paths);
  return {
    exists: async (name) =>
      lockfileNames.has(name)
        ? folderAndAbove(folder).some((at) => known.has(posix.join(at, name)))
        : known.has(posix.join(folder, name)),
    read: readerAt(files, folder),
    list: async (inner) => {
      const path = posix.join(folder, inner);
      const prefix = path === '.' || path === '' ? '' : `${path}/`;
      return files.paths
        .filter((file) => file.startsWith(prefix))
        .map((file) => file.slice(prefix.length))
        .filter((name) => !name.includes('/'));
    },
  };
}

const depth = (key: string) => {
  const [at = ''] = key.split('\0');
  return at === '' ? 0 : at.split('/').length;
};
