import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { errorCode } from './error-code.ts';
import { poll } from './waiting.ts';

/** What PostgreSQL writes about itself into `postmaster.pid`. */
interface PidFile {
  pid: number;
  port: number;
  /** The folder of its socket. */
  socket: string;
  status: 'starting' | 'ready' | 'stopping' | 'unknown';
}

/** @returns undefined where there is none, or one that is not yet written to its end */
export function readPidFile(data: string): PidFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10));
  if (!pid) return undefined;
  const status = lines[7]?.trim();
  return {
    pid,
    port: Number.parseInt(lines[3] ?? '', 10),
    socket: lines[4]?.trim() ?? '',
    status: status === 'starting' || status === 'ready' || status === 'stopping' ? status : 'unknown',
  };
}

/** True for a living PostgreSQL process that works in this data folder; a process id alone may have been reused. */
export function isPostgresOf(pid: number, data: string): boolean {
  try {
    // The name stands in brackets and may hold anything; the state follows it. A zombie is not alive.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const nameEnd = stat.lastIndexOf(')');
    const state = stat.charAt(nameEnd + 2);
    if (state === 'Z' || state === 'X' || !stat.slice(0, nameEnd + 1).endsWith('(postgres)')) return false;
    return worksIn(pid, data);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

/**
 * Root without CAP_SYS_PTRACE, as in most containers, may not see the folder of another user's process; a
 * postmaster names it in its arguments, which everybody may read.
 */
function worksIn(pid: number, data: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === data;
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errorCode(error) ?? '')) throw error;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`\0-D\0${data}\0`);
  }
}

/** Every process of PostgreSQL in this data folder; workers may outlive their postmaster by a moment. */
export function processesOf(data: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isPostgresOf(pid, data));
}

/** True for any living process with this id, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/**
 * Sends the signals one after the other, each with a limit, until every process of the data folder is gone; to the
 * postmaster alone while it lives, since it ends its workers.
 * @throws AppError `database_unavailable` when some are left after the last
 */
export async function endProcesses(
  data: string,
  steps: readonly { signal: NodeJS.Signals | 0; limitMs: number }[],
  log: Logger,
): Promise<void> {
  for (const { signal, limitMs } of steps) {
    const postmaster = readPidFile(data)?.pid ?? 0;
    const pids = postmaster > 0 && isPostgresOf(postmaster, data) ? [postmaster] : processesOf(data);
    if (pids.length === 0) return;
    log.debug({ pids, signal }, 'ending PostgreSQL');
    for (const pid of pids) signalProcess(pid, signal);
    const isGone = () =>
      pids.some((pid) => isPostgresOf(pid, data)) ? undefined : processesOf(data).length === 0;
    if (await poll(limitMs, 10, () => isGone() || undefined)) return;
  }
  throw new AppError(
    'database_unavailable',
    `PostgreSQL's processes ${processesOf(data).join(', ')} in ${data} do not end; end them by hand`,
  );
}

function signalProcess(pid: number, signal: NodeJS.Signals | 0): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
