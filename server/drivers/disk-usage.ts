import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { entriesOf } from '../computers/workspaces/folders.ts';

const execute = promisify(execFile);
const limitMs = 60_000;
const mostAtOnce = 500;

/** Bytes that each path takes on the disk; 0 for one that is gone. Counted by `du`, which is quick in large trees. */
export async function measure(paths: readonly string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (let at = 0; at < paths.length; at += mostAtOnce) {
    const some = paths.slice(at, at + mostAtOnce);
    for (const line of (await diskUse(some)).split('\n')) {
      const [size = '', path = ''] = line.split('\t');
      if (path !== '') sizes.set(path, Number(size));
    }
  }
  return sizes;
}

/** All that lies in a folder. */
export async function measureFolder(folder: string): Promise<number> {
  const sizes = await measure(await entriesOf(folder));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

export async function freeBytes(folder: string): Promise<number> {
  const disk = await statfs(folder);
  return disk.bavail * disk.bsize;
}

/** A file that vanishes meanwhile makes `du` end with 1, having counted the others. */
async function diskUse(paths: readonly string[]): Promise<string> {
  const args = ['--summarize', '--block-size=1', '--', ...paths];
  try {
    return (await execute('du', args, { timeout: limitMs, maxBuffer: 16 * 1024 ** 2 })).stdout;
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string') return error.stdout;
    throw error;
  }
}
