import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gate, Sandbox } from '../sandbox.ts';

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Removes a tree that commands have written, whatever permissions they left. */
export async function removeTree(sandbox: Sandbox, path: string, gate?: Gate): Promise<void> {
  if (!(await exists(path))) return;
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')))
      throw error;
    await sandbox.run(
      {
        argv: ['chmod', '-R', 'u+rwX', '/tree'],
        cwd: '/',
        mounts: [{ source: path, target: '/tree', mode: 'write' }],
        ...(gate ? { gate } : {}),
      },
      AbortSignal.timeout(120_000),
    );
    await rm(path, { recursive: true, force: true });
  }
}

/** The entries of a folder, none where it is missing. */
export async function entriesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).map((name) => join(folder, name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export async function makeFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o755 });
  return path;
}
