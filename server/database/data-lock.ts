import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { AppError } from '../errors.ts';
import { run } from './run-program.ts';

/**
 * The lock of a data folder: one process at a time, until it dies in whatever way. `flock` locks the open file that
 * it inherits from us, and the lock belongs to that file until our descriptor is closed; no child inherits it
 * otherwise.
 * @returns what releases it
 * @throws AppError `data_in_use` with the holder's process id
 */
export async function lockFile(path: string): Promise<() => void> {
  const descriptor = openSync(path, 'a+', 0o600);
  try {
    const { exitCode, output } = await run(
      { argv: ['flock', '--exclusive', '--nonblock', '--conflict-exit-code', '75', '3'] },
      { env: { PATH: '/usr/bin:/bin' }, inherit: descriptor },
    );
    if (exitCode === 75) throw inUse(path);
    if (exitCode !== 0) {
      throw new AppError(
        'database_unavailable',
        `cannot lock ${path} (flock, of util-linux): ${output.trim()}`,
      );
    }
    ftruncateSync(descriptor);
    writeSync(descriptor, `${process.pid}\n`);
    return () => closeSync(descriptor);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function inUse(path: string): AppError {
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  const who = Number.isNaN(pid) ? 'another process' : `process ${pid}`;
  return new AppError(
    'data_in_use',
    `the data is in use by ${who} (${path}); stop it first, or set MISSION_HOME`,
    {
      detail: Number.isNaN(pid) ? {} : { pid },
    },
  );
}
