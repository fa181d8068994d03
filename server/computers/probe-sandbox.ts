import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type CgroupPlace, findCgroupPlace } from './cgroup.ts';
import { buildSeccompProgram } from './seccomp.ts';

/** What this machine offers, for `doctor` and for the refusal of commands. */
export interface SandboxReport {
  available: boolean;
  /** The path of bwrap and its version line; undefined where it is not installed. */
  bubblewrap: { path: string; version: string } | undefined;
  flock: string | undefined;
  seccomp: boolean;
  /** Where memory and process limits are enforced; `none` leaves limits per process, weak ones as root. */
  cgroups: CgroupPlace['version'] | 'none';
  /** Why it is not available; undefined where it is. */
  problem: string | undefined;
  /** The exact line that mends it, for a root shell; undefined where none is needed or known. */
  mend: string | undefined;
}

const trialLimitMs = 10_000;

export async function probeSandbox(): Promise<SandboxReport> {
  const path = findProgram('bwrap');
  const flock = findProgram('flock');
  const report = {
    bubblewrap: path ? { path, version: (await runTrial(path, ['--version'])).output.trim() } : undefined,
    flock,
    seccomp: buildSeccompProgram(process.arch) !== undefined,
    cgroups: (await findCgroupPlace())?.version ?? ('none' as const),
  };
  const refuse = (problem: string, mend: string | undefined) => ({
    ...report,
    available: false,
    problem,
    mend,
  });
  if (process.platform !== 'linux') return refuse('the sandbox needs Linux', undefined);
  if (!path) return refuse('bubblewrap is not installed', 'apt-get install -y bubblewrap');
  if (!flock) return refuse('flock is not installed', 'apt-get install -y util-linux');
  const walls = ['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts'];
  const files = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'];
  const trial = await runTrial(path, [...walls, '--uid', '1000', '--gid', '1000', ...files, '--', 'true']);
  if (trial.code === 0) return { ...report, available: true, problem: undefined, mend: undefined };
  return refuse(`bubblewrap cannot make a sandbox here: ${trial.output.trim()}`, findMend(readSetting));
}

/** Which setting of the kernel forbids user namespaces, as the line that allows them. */
export function findMend(read: (path: string) => string | undefined): string | undefined {
  if (read('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return 'sysctl -w kernel.unprivileged_userns_clone=1';
  }
  if (read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0';
  }
  if (read('/proc/sys/user/max_user_namespaces') === '0') return 'sysctl -w user.max_user_namespaces=15000';
  return undefined;
}

/** Looks a program up on the server's PATH and in the usual folders. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/bin', '/usr/bin', '/bin'];
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

async function runTrial(program: string, argv: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin' },
    timeout: trialLimitMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [code]: unknown[] = await once(child, 'close');
  return { code: typeof code === 'number' ? code : null, output: output.slice(0, 1000) };
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
