import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Gate, Mount } from '../sandbox.ts';
import {
  type CheckoutFolders,
  checkoutMounts,
  homeTarget,
  scratchOfModules,
  workspaceTarget,
} from './checkout-folders.ts';
import { entriesOf, isMissing } from './folders.ts';
import { expectSuccess, type Git } from './git.ts';
import type { PreparedSetup } from './prepared-setup.ts';

/**
 * How a set-up is shown in a checkout. The places must be there and must be real: a link planted in their stead
 * could lead the mount elsewhere, so that what is not a plain place is left out.
 */
export async function setupMounts(
  git: Git,
  setup: PreparedSetup | undefined,
  place: { folders: CheckoutFolders; gate?: Gate | undefined },
  signal: AbortSignal,
): Promise<{ mounts: Mount[]; scratch: string[] }> {
  const mounts: Mount[] = [];
  const scratch: string[] = [];
  if (!setup) return { mounts, scratch };
  const missing: { folders: string[]; files: string[] } = { folders: [], files: [] };
  for (const path of setup.paths) {
    const source = join(setup.folder, 'files', path);
    const isFolder = (await lstat(source)).isDirectory();
    const found = await lookAtPlace(place.folders.files, path, isFolder);
    if (found === 'unfit') continue;
    if (found === 'missing') (isFolder ? missing.folders : missing.files).push(path);
    const target = `${workspaceTarget}/${path}`;
    mounts.push({ source, target, mode: 'read' });
    if (isFolder && basename(path) === 'node_modules') {
      scratch.push(...scratchOfModules.map((name) => `${target}/${name}`));
    }
  }
  await makePlaces(git, place, missing, signal);
  if (setup.home !== null) {
    for (const source of await entriesOf(setup.home)) {
      mounts.push({ source, target: `${homeTarget}/${basename(source)}`, mode: 'read' });
    }
  }
  return { mounts, scratch };
}

/** Whether a mount can go there; looks only, for what is written from outside could be led astray by a link. */
async function lookAtPlace(
  files: string,
  path: string,
  isFolder: boolean,
): Promise<'there' | 'missing' | 'unfit'> {
  const parts = path.split('/');
  let at = files;
  for (const [index, part] of parts.entries()) {
    at = join(at, part);
    const folder = isFolder || index < parts.length - 1;
    try {
      const found = await lstat(at);
      if (folder ? !found.isDirectory() : !found.isFile()) return 'unfit';
    } catch (error) {
      if (isMissing(error)) return 'missing';
      throw error;
    }
  }
  return 'there';
}

async function makePlaces(
  git: Git,
  place: { folders: CheckoutFolders; gate?: Gate | undefined },
  paths: { folders: string[]; files: string[] },
  signal: AbortSignal,
): Promise<void> {
  if (paths.folders.length + paths.files.length === 0) return;
  const script = `
kind=folder
for path do
  if [ -z "$path" ]; then kind=file
  elif [ "$kind" = folder ]; then mkdir -p -- "$path"
  else mkdir -p -- "$(dirname -- "$path")"; : >> "$path"
  fi
done`;
  const options = {
    cwd: workspaceTarget,
    mounts: checkoutMounts(place.folders),
    ...(place.gate ? { gate: place.gate } : {}),
  };
  const made = await git.script(script, [...paths.folders, '', ...paths.files], options, signal);
  expectSuccess(made, 'making room for the prepared set-up');
}
