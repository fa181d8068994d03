import { readFileSync, readlinkSync } from 'node:fs';

/**
 * Names a process so that another on the same machine can tell whether it still lives: the machine's boot,
 * the pid namespace, the pid and its start time. A pid that was given to somebody else has another start.
 */
export function identifyProcess(pid: number): string {
  return `${machineIdentity()}:${pid}:${startTime(pid) ?? 'gone'}`;
}

/** Boot and pid namespace: processes of equal identity can see one another. */
export function machineIdentity(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
}

/** Whether the named process lives; `elsewhere` where this machine cannot tell. */
export function judgeProcess(identity: string): 'alive' | 'dead' | 'elsewhere' {
  const parts = identity.split(':');
  const [pid, start] = [Number(parts.at(-2)), parts.at(-1)];
  if (parts.slice(0, -2).join(':') !== machineIdentity()) return 'elsewhere';
  return startTime(pid) === start ? 'alive' : 'dead';
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name may hold spaces and brackets; the fields after the last bracket are plain.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined;
    throw error;
  }
}
