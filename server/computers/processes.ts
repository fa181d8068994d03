import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process by number and birth: numbers are reused, the pair is not. `start` is in clock ticks since boot. */
export interface ProcessIdentity {
  pid: number;
  start: string;
}

const endLimitMs = 5_000;

/** What runs under this number now; undefined where nothing does, or only a dead process nobody has reaped. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces and parentheses itself; the fields after it may not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const start = fields[19];
  if (!start || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, start };
}

/** Names the space in which this process's numbers mean something. */
export const processNamespace = () => readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');

export function isAlive(process: ProcessIdentity): boolean {
  return identifyProcess(process.pid)?.start === process.start;
}

/** The direct children of every thread of a process. */
export function childrenOf(pid: number): ProcessIdentity[] {
  return listProc(`/proc/${pid}/task`)
    .flatMap((task) => readProc(`/proc/${pid}/task/${task}/children`).split(' '))
    .filter((child) => /^\d+$/.test(child))
    .flatMap((child) => identifyProcess(Number(child)) ?? []);
}

/** Empty where it has ended. */
export function argumentsOf(pid: number): string[] {
  return readProc(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
}

/** SIGKILL, to this very process only. */
export function killProcess(process: ProcessIdentity): void {
  if (isAlive(process)) sendKill(process.pid);
}

/** SIGKILL to a number; to a whole group where it is negative. */
export function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Waits until none of them lives.
 * @throws Error where one survives SIGKILL for longer than the limit (it hangs in the kernel)
 */
export async function awaitEnd(processes: ProcessIdentity[], limitMs = endLimitMs): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (let pause = 1; processes.some(isAlive); pause = Math.min(pause * 2, 50)) {
    if (performance.now() > deadline) {
      throw new Error(`processes ${processes.map(({ pid }) => pid).join(', ')} do not end`);
    }
    await delay(pause);
  }
}

/** Empty where the process ended before or while it was read. */
function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return '';
    throw error;
  }
}

function listProc(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES'].includes(`${error.code}`);
}
