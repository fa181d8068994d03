import { AppError } from '../errors.ts';
import { assertPlaces } from './places.ts';
import type { Command, Limits, Mount } from './sandbox.ts';

/** What every command sees of the machine; made once at the start by `prepareSystem`. */
export interface SystemView {
  /** Options of bwrap: the read-only system and the toolchain. */
  binds: string[];
  /** Options of bwrap, after its /proc: the kernel's settings, read-only. */
  procBinds: string[];
  /** Options of bwrap for `network: 'open'`: the machine's own name service. */
  openNetworkBinds: string[];
  path: string;
  seccomp: boolean;
}

export const home = '/home/agent';
/** Inherited descriptors of the launcher; fixed, because the shell and bwrap name them by number. */
export const descriptors = { status: 3, options: 4, seccomp: 8, lock: 9 } as const;

/**
 * These act on the shell or the loader that starts the command, before any wall stands.
 */
const refusedVariables =
  /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|BASH_ENV|BASH_FUNC.*|ENV|SHELLOPTS|BASHOPTS|IFS|PS4)$/;

/** The whole environment of a command. @throws AppError `invalid_request` for a variable that may not be set */
export function buildEnvironment(path: string, added: Record<string, string> = {}): Record<string, string> {
  for (const [name, value] of Object.entries(added)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || refusedVariables.test(name) || value.includes('\0')) {
      throw new AppError(
        'invalid_request',
        `the environment variable ${JSON.stringify(name)} may not be set`,
      );
    }
  }
  return {
    PATH: path,
    HOME: home,
    USER: 'agent',
    LOGNAME: 'agent',
    SHELL: '/bin/sh',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TERM: 'dumb',
    TMPDIR: '/tmp',
    CI: '1',
    NO_COLOR: '1',
    PAGER: 'cat',
    GIT_PAGER: 'cat',
    GIT_TERMINAL_PROMPT: '0',
    npm_config_update_notifier: 'false',
    npm_config_fund: 'false',
    ...added,
  };
}

/**
 * The options of bwrap, without the command itself. They go to bwrap by a descriptor, so that no variable of
 * the environment shows in the machine's list of processes.
 * @throws AppError `invalid_request` for a mount, folder or variable that would breach the walls
 */
export function buildBubblewrapOptions(
  command: Command,
  system: SystemView,
  limits: Limits,
  extra: { binds?: string[]; env?: Record<string, string> } = {},
): string[] {
  const open = command.network === 'open';
  const mounts = [...command.mounts].sort((a, b) => a.target.split('/').length - b.target.split('/').length);
  const temporary = (target: string, mode: string) => [
    ...['--perms', mode, '--size', `${limits.memoryBytes}`],
    ...['--tmpfs', target],
  ];
  const scratch = command.scratch ?? [];
  assertPlaces(command);
  return [
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(open ? [] : ['--unshare-net']),
    ...['--uid', '1000', '--gid', '1000', '--hostname', 'sandbox', '--cap-drop', 'ALL'],
    ...['--die-with-parent', '--new-session'],
    ...system.binds,
    ...(open ? system.openNetworkBinds : []),
    ...[
      '--proc',
      '/proc',
      ...system.procBinds,
      '--dev',
      '/dev',
      ...temporary('/dev/shm', '1777'),
      '--remount-ro',
      '/dev',
    ],
    ...temporary('/tmp', '1777'),
    ...temporary(home, '0700'),
    ...(extra.binds ?? []),
    ...mounts.flatMap(bindMount),
    ...scratch.flatMap((target) => temporary(target, '0755')),
    ...['--remount-ro', '/', '--chdir', command.cwd],
    // The lock is held by the namespace's first process until all others are dead, and by no other process.
    ...(command.gate ? ['--sync-fd', `${descriptors.lock}`] : []),
    ...(system.seccomp ? ['--seccomp', `${descriptors.seccomp}`] : ['--disable-userns']),
    '--clearenv',
    ...Object.entries(buildEnvironment(system.path, { ...extra.env, ...command.env })).flatMap(
      ([name, value]) => ['--setenv', name, value],
    ),
  ];
}

/** What runtimes such as Node reserve, writable, without using it. */
const reservedBytes = 1024 ** 3;

/**
 * The limits that stand in for control groups, set inside, where the namespace counts its own processes. They are
 * weaker: memory is counted for each process, with an allowance for what is only reserved, and its end is not
 * recognised as such; processes are not counted at all where the server is root. An address-space limit is no
 * choice, because Node reserves many gigabytes.
 */
export function withProcessLimits(argv: string[], limits: Limits): string[] {
  const data = limits.memoryBytes + reservedBytes;
  return ['prlimit', `--nproc=${limits.processes}`, `--data=${data}`, '--', ...argv];
}

function bindMount({ source, target, mode }: Mount): string[] {
  return [mode === 'write' ? '--bind' : '--ro-bind', source, target];
}
