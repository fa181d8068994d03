import { chmod, lstat, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { errorCode } from './error-code.ts';

/** The kernel takes 107 bytes for a socket's whole path; `/.s.PGSQL.5432` and its `.lock` need some of them. */
const longestFolder = 85;

/**
 * The private folder of the socket: `socket` in the data's folder, or, where that path is too long, one of its own
 * below the system's temporary folder.
 * @param earlier the one used before, taken again if it is still ours
 */
export async function chooseSocketFolder(folder: string, earlier: string | undefined): Promise<string> {
  const own = join(folder, 'socket');
  if (fits(own)) {
    await mkdir(own, { recursive: true, mode: 0o700 });
    await chmod(own, 0o700);
    return own;
  }
  if (earlier && fits(earlier) && (await isOurs(earlier))) return earlier;
  for (const parent of [tmpdir(), '/tmp']) {
    if (fits(join(parent, 'mission-xxxxxx'))) return mkdtemp(join(parent, 'mission-'));
  }
  throw new AppError(
    'database_unavailable',
    `no folder with a path short enough for a socket: set TMPDIR to one`,
  );
}

const fits = (path: string) => Buffer.byteLength(path) <= longestFolder;

/** Others may write where this folder is, so that its name alone proves nothing. */
async function isOurs(path: string): Promise<boolean> {
  try {
    const entry = await lstat(path);
    return entry.isDirectory() && entry.uid === process.getuid?.() && (entry.mode & 0o777) === 0o700;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
