import type { Stats } from 'node:fs';
import { chmod, chown, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { type Invocation, run } from './run-program.ts';

/**
 * As whom PostgreSQL runs, which refuses root. `self`: as we are. `namespace`: still as root for the files, but in
 * a user namespace in which root is called `nobody` and has no capability. `nobody`: as the real `nobody`, who must
 * own the data and be able to reach it; for machines that forbid user namespaces.
 */
export type Identity = 'self' | 'namespace' | 'nobody';

const nobody = 65_534;

export async function chooseIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return 'self';
  const attempt = await run(asIdentity('namespace', ['true']), { env: { PATH: '/usr/bin:/bin' } });
  return attempt.exitCode === 0 ? 'namespace' : 'nobody';
}

/** The same program, run as that identity. The process started is the program itself, by exec. */
export function asIdentity(identity: Identity, argv: string[]): Invocation {
  if (identity === 'nobody') return { argv, uid: nobody, gid: nobody };
  if (identity === 'self') return { argv };
  const entry = ['unshare', '--user', `--map-user=${nobody}`, `--map-group=${nobody}`, '--'];
  return { argv: [...entry, ...argv] };
}

/**
 * Gives the files to the identity that is to work on them; only root has anything to do. Not while PostgreSQL runs.
 * @throws AppError `database_unavailable` where `nobody` could not reach them, saying which folder is in the way
 */
export async function handOver(identity: Identity, paths: readonly string[]): Promise<void> {
  if (identity === 'self') return;
  const owner = identity === 'nobody' ? nobody : 0;
  for (const path of paths) {
    if ((await lstat(path)).uid !== owner) await chownTree(path, owner);
  }
}

/**
 * Opens our own folder for passing through, and checks the way to it and to the programs: whom PostgreSQL runs as
 * has none of root's powers, so that a folder above may be closed to it.
 * @throws AppError `database_unavailable` naming the folder that is in the way
 */
export async function openTheWay(identity: Identity, folder: string, programs: string): Promise<void> {
  if (identity === 'self') return;
  if (identity === 'nobody') await chmod(folder, 0o711);
  const id = identity === 'nobody' ? nobody : 0;
  for (const target of [folder, await realpath(programs)]) {
    for (let path = target; path !== dirname(path); path = dirname(path)) {
      if (canEnter(await stat(path), id)) continue;
      const why =
        identity === 'nobody' ? 'and this machine forbids user namespaces' : 'but without its powers';
      throw new AppError(
        'database_unavailable',
        `PostgreSQL cannot run as root, ${why}, and so it cannot enter ${path}: ` +
          `start as an ordinary user, or chmod o+x ${path}, or set DATABASE_URL`,
      );
    }
  }
}

/** `id` is that of the user and of its group. */
function canEnter({ mode, uid, gid }: Stats, id: number): boolean {
  if (uid === id) return (mode & 0o100) !== 0;
  return (mode & (gid === id ? 0o010 : 0o001)) !== 0;
}

async function chownTree(path: string, owner: number): Promise<void> {
  const entry = await lstat(path);
  if (entry.isSymbolicLink()) return;
  if (entry.isDirectory()) {
    for (const name of await readdir(path)) await chownTree(join(path, name), owner);
  }
  await chown(path, owner, owner);
}
