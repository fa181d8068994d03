import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { exists } from '../computers/workspaces/folders.ts';

const execute = promisify(execFile);
const limitMs = 600_000;
const shortLimitMs = 8_000;
const mostAtOnce = 500;

/**
 * Bytes that each path takes on the disk, counted by `du`, which is quick in large trees; what is gone has none.
 * @throws Error where it takes longer than ten minutes
 */
export async function measure(paths: readonly string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (let at = 0; at < paths.length; at += mostAtOnce) {
    const counted = await diskUse(paths.slice(at, at + mostAtOnce), limitMs);
    for (const [path, size] of counted) sizes.set(path, size);
  }
  return sizes;
}

/** All that lies in a folder, for somebody who waits: null where it cannot be counted within eight seconds. */
export async function measureFolder(folder: string): Promise<number | null> {
  if (!(await exists(folder))) return 0;
  try {
    return (await diskUse([folder], shortLimitMs)).get(folder) ?? 0;
  } catch (error) {
    if (error instanceof Error && 'killed' in error && error.killed === true) return null;
    throw error;
  }
}

export async function freeBytes(folder: string): Promise<number> {
  const disk = await statfs(folder);
  return disk.bavail * disk.bsize;
}

async function diskUse(paths: readonly string[], timeout: number): Promise<Map<string, number>> {
  const lines = (await runDu(paths, timeout)).split('\n').map((line) => line.split('\t'));
  return new Map(
    lines.flatMap(([size, path]) => (path === undefined ? [] : [[path, Number(size)] as const])),
  );
}

/** A file that vanishes meanwhile makes `du` end with 1, having counted the others. */
async function runDu(paths: readonly string[], timeout: number): Promise<string> {
  const args = ['--summarize', '--block-size=1', '--', ...paths];
  try {
    return (await execute('du', args, { timeout, maxBuffer: 16 * 1024 ** 2 })).stdout;
  } catch (error) {
    const gone = error instanceof Error && 'code' in error && error.code === 1 && 'stdout' in error;
    if (gone && typeof error.stdout === 'string') return error.stdout;
    throw error;
  }
}
