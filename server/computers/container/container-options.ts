import type { ContainerCreateOptions } from 'dockerode';
import { buildEnvironment, home } from '../bubblewrap-arguments.ts';
import type { Command, Limits, NetworkSession } from '../sandbox.ts';

/** What every container of this server has in common. */
export interface ContainerView {
  /** By its content: a tag that moves does not change what runs. */
  imageId: string;
  /** Names of the variables that the image sets and a command is not to have. */
  imageVariables: string[];
  /** Who owns the folders that are mounted, as numbers. */
  user: { uid: number; gid: number };
  /** Shown read-only in every container. */
  files: { source: string; target: string }[];
  path: string;
  /** As JSON; undefined where the engine's own is to hold. */
  seccomp: string | undefined;
  /** What of /proc is read-only beside what engines cover by themselves. */
  readOnlyProc: string[];
  labels: Record<string, string>;
}

/** Where our own files are inside. */
export const inside = {
  alive: '/run/mission/alive',
  stdin: '/run/mission/stdin',
  node: '/opt/node',
} as const;

/** The first process's status where the command's folder is missing. */
export const notStarted = 125;
/** Ours beside the command's: the first process, the one that watches the server. */
const ownProcesses = 2;

/**
 * The container's first process. It starts the command as its child, since the first process of a namespace
 * ignores signals; its own end ends everything in the container. A pipe that only the server holds open is read by a
 * second child: its end is the server's death.
 */
const firstProcess = `
stdin=$1 folder=$2
shift 2
unset HOSTNAME OLDPWD
cd "$folder" || exit ${notStarted}
(exec "$@") < "$stdin" &
command=$!
exec 2> /dev/null
(read -r _ < ${inside.alive}; kill -9 "$command") &
wait "$command"
exit $?
`;

const maskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/scsi'],
  ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/sys/firmware'],
];
const readOnlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/**
 * The request that creates the container of one command. Nothing of it comes from a model but `argv`, `env`,
 * `cwd` and the standard input.
 * @param stdinFile on the host; null for none
 */
export function buildContainerOptions(
  command: Command,
  request: {
    view: ContainerView;
    limits: Limits;
    session: NetworkSession | undefined;
    stdinFile: string | null;
  },
): ContainerCreateOptions & { HostConfig: { CgroupnsMode: string } } {
  const { view, limits, session, stdinFile } = request;
  const { uid, gid } = view.user;
  const files = [
    ...view.files,
    ...(session?.files ?? []),
    ...(stdinFile === null ? [] : [{ source: stdinFile, target: inside.stdin }]),
  ];
  const variables = buildEnvironment(view.path, { ...session?.env, ...command.env });
  // Without its owner such a folder has the mode and the owner of the one that it covers.
  const temporary = (mode: string) =>
    `rw,exec,nosuid,nodev,mode=${mode},uid=${uid},gid=${gid},size=${limits.memoryBytes}`;
  return {
    Image: view.imageId,
    Entrypoint: ['/bin/sh', '-c', firstProcess, 'sh'],
    Cmd: [
      ...[stdinFile === null ? '/dev/null' : inside.stdin, command.cwd],
      ...[...(session?.bridge ?? []), ...command.argv],
    ],
    User: `${uid}:${gid}`,
    // An engine makes a working folder that is missing, as root; our first process refuses it.
    WorkingDir: '/',
    Hostname: 'sandbox',
    Env: [
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      // A name without a value takes the image's variable away.
      ...view.imageVariables.filter((name) => !(name in variables)),
    ],
    Labels: {
      ...view.labels,
      ...(command.gate ? { [gateLabel]: command.gate.folder, [tokenLabel]: command.gate.token } : {}),
    },
    Healthcheck: { Test: ['NONE'] },
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      Mounts: [
        ...files.map(({ source, target }) => bind(source, target, 'read')),
        ...command.mounts.map(({ source, target, mode }) => bind(source, target, mode)),
      ],
      Tmpfs: {
        '/tmp': temporary('1777'),
        [home]: temporary('0700'),
        ...Object.fromEntries((command.scratch ?? []).map((target) => [target, temporary('0755')])),
      },
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true', ...(view.seccomp ? [`seccomp=${view.seccomp}`] : [])],
      Privileged: false,
      NetworkMode: command.network === 'open' ? 'host' : 'none',
      IpcMode: 'private',
      CgroupnsMode: 'private',
      ShmSize: limits.memoryBytes,
      MaskedPaths: maskedPaths,
      ReadonlyPaths: [...new Set([...readOnlyPaths, ...view.readOnlyProc])],
      Memory: limits.memoryBytes,
      // Memory and swap together: so no swap.
      MemorySwap: limits.memoryBytes,
      PidsLimit: limits.processes + ownProcesses,
      Ulimits: [
        { Name: 'core', Soft: 0, Hard: 0 },
        { Name: 'cpu', Soft: limits.cpuSeconds, Hard: limits.cpuSeconds + 1 },
        { Name: 'fsize', Soft: limits.fileBytes, Hard: limits.fileBytes },
      ],
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
    },
  };
}

/** Whose gate and which token a container was started under; see `endOlder`. */
export const gateLabel = 'mission-control.gate';
export const tokenLabel = 'mission-control.token';

function bind(source: string, target: string, mode: 'read' | 'write') {
  return { Type: 'bind' as const, Source: source, Target: target, ReadOnly: mode === 'read' };
}
