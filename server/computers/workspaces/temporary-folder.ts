import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { identifyProcess, isAlive } from '../processes.ts';
import type { Sandbox } from '../sandbox.ts';
import { entriesOf, makeFolder, removeTree } from './folders.ts';

/** Runs `act` with a folder below `home`/clean that is gone afterwards, whatever happens. */
export async function withTemporaryFolder<T>(
  parts: { home: string; sandbox: Sandbox },
  act: (folder: string) => Promise<T>,
): Promise<T> {
  const start = identifyProcess(process.pid)?.start ?? '0';
  const name = `${process.pid}-${start}-${randomBytes(8).toString('hex')}`;
  const folder = await makeFolder(join(parts.home, 'clean', name));
  try {
    return await act(folder);
  } finally {
    await removeTree(parts.sandbox, folder);
  }
}

/** Removes what processes that are dead now left behind; for the start. */
export async function sweepTemporaryFolders(parts: { home: string; sandbox: Sandbox }): Promise<void> {
  for (const folder of await entriesOf(join(parts.home, 'clean'))) {
    const [pid = '', start = ''] = basename(folder).split('-');
    if (!isAlive({ pid: Number(pid), start })) await removeTree(parts.sandbox, folder);
  }
}
