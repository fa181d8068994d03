import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Command } from '../sandbox.ts';

const plainFolder = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Makes the folders that a mount or scratch folder covers inside another mount's folder. An engine would make
 * them as root, where nobody else could remove them. No link is followed, not even one that appears while
 * this looks: each step starts at the descriptor of the one before.
 * @throws AppError `invalid_request` where a link or a file is in the way
 */
export async function makeMountPlaces(command: Command, owner: { uid: number; gid: number }): Promise<void> {
  const folders = [...(command.scratch ?? [])];
  for (const { source, target } of command.mounts) {
    if ((await stat(source).catch(nullWhereMissing))?.isDirectory()) folders.push(target);
  }
  for (const target of folders) {
    const outer = command.mounts
      .filter((mount) => mount.mode === 'write' && target.startsWith(`${mount.target}/`))
      .sort((a, b) => b.target.length - a.target.length)[0];
    if (outer) await makeFolders(outer.source, relative(outer.target, target).split('/'), owner);
  }
}

async function makeFolders(
  root: string,
  parts: string[],
  owner: { uid: number; gid: number },
): Promise<void> {
  let folder = await open(root, plainFolder);
  try {
    for (const part of parts) {
      const next = await enter(folder, part, owner);
      await folder.close();
      folder = next;
    }
  } finally {
    await folder.close();
  }
}

async function enter(
  folder: FileHandle,
  name: string,
  owner: { uid: number; gid: number },
): Promise<FileHandle> {
  const path = `/proc/self/fd/${folder.fd}/${name}`;
  const found = await openPlain(path);
  if (found) return found;
  await mkdir(path).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  const made = await openPlain(path);
  if (!made) throw new Error(`the folder ${name} is gone as soon as it is made`);
  if (owner.uid !== process.getuid?.()) await made.chown(owner.uid, owner.gid);
  return made;
}

async function openPlain(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, plainFolder);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP' || code === 'ENOTDIR') {
      throw new AppError('invalid_request', 'a link or a file is where a folder is to be mounted', {
        cause: error,
      });
    }
    throw error;
  }
}

function nullWhereMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null;
  throw error;
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined);
