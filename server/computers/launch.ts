import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { descriptors } from './bubblewrap-arguments.ts';
import { openCapture } from './capture.ts';
import type { Cgroup } from './cgroup.ts';
import { forgetProcess, gateScript } from './gate.ts';
import type { OutputPipes, PipePool } from './pipes.ts';
import {
  awaitEnd,
  childrenOf,
  identifyProcess,
  killProcess,
  type ProcessIdentity,
  sendKill,
} from './processes.ts';
import { type Command, type CommandResult, GateClosed, type Limits } from './sandbox.ts';

/** How a command is started, whatever its walls. */
export interface Launch {
  argv: string[];
  /** Of the launcher and bwrap; the command's own is set inside. */
  env: Record<string, string>;
  cwd: string;
  /** What bwrap reads on its descriptor for options. */
  options?: string[];
  seccompFile?: string;
  cgroup?: Cgroup;
  limits: Limits;
  /** The path of `flock`. */
  flock: string;
  pipes: PipePool;
  /** From `listInheritedDescriptors`. */
  inherited: number[];
  /** Ends what the process group does not reach; called when the command ended or is to be ended. */
  endStragglers?: () => Promise<void>;
}

interface LaunchResult extends CommandResult {
  /** False where the launcher ended before the command was started: `stderr` says why. */
  started: boolean;
}

/**
 * A shell that sets the limits and becomes the command by `exec`, so that all of it costs one process. The
 * limits' failure is answered on the status descriptor; only where the server's own limits are lower already do
 * those hold instead. It starts nothing for a server that has died meanwhile;
 * from bwrap's first steps on, `--die-with-parent` takes over.
 */
const launcherScript = `
gate=$1 token=$2 flock=$3 parent=$4 cpu=$5 blocks=$6 seccomp=$7 groups=$8
shift 8
read -r _ _ _ ppid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ < /proc/$$/stat
[ "$ppid" = "$parent" ] || exit 0
if [ -n "$gate" ]; then
${gateScript}
fi
while [ "$groups" -gt 0 ]; do
  echo 0 > "$1" || { echo '{"limits":"refused"}' >&3; exit 0; }
  groups=$((groups - 1))
  shift
done
{
  ulimit -c 0
  ulimit -S -t "$cpu" && ulimit -H -t $((cpu + 1))
  ulimit -f "$blocks"
} 2>/dev/null
[ -z "$seccomp" ] || exec 8<"$seccomp"
exec "$@"
`;

/** The unit of the shell's limit on a file's size. */
const blockBytes = 512;

/**
 * Runs to the end of every process.
 * @throws GateClosed; the signal's reason; Error where the output file cannot be written or limits not be set
 */
export async function launch(command: Command, plan: Launch, signal: AbortSignal): Promise<LaunchResult> {
  const capture = await openCapture(command);
  const pipes = await plan.pipes.take();
  const began = performance.now();
  const child = spawnLauncher(command, plan, pipes);
  const ended = endOf(child, pipes);
  const statusStream = child.stdio[descriptors.status];
  if (!(statusStream instanceof Readable)) {
    await ended;
    throw new Error('a pipe to the command is missing');
  }
  capture.attach(pipes.stdout, pipes.stderr);
  const status = followStatus(statusStream);
  feed(child.stdin, command.stdin ?? '');
  if (plan.options)
    feed(child.stdio[descriptors.options], plan.options.map((option) => `${option}\0`).join(''));

  const tree: ProcessIdentity[] = [];
  const stragglers: Promise<unknown>[] = [];
  const stop = () => {
    if (child.pid === undefined) return;
    // Collected before the monitor dies: afterwards nobody knows whose child the namespace was.
    tree.push(...childrenOf(child.pid));
    sendKill(-child.pid);
    if (status.namespace) killProcess(status.namespace);
    endStragglers();
  };
  // They may hold the pipes whose end we await. Whether it worked shows when it is done once more at the end.
  const endStragglers = () => stragglers.push(Promise.allSettled([plan.endStragglers?.()]));
  child.once('exit', endStragglers);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, plan.limits.timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) stop();
    const exit = await ended;
    if (status.namespace) tree.push(status.namespace);
    await awaitEnd(tree);
    await Promise.all(stragglers);
    await plan.endStragglers?.();
    pipes.putBack();
    const output = await capture.finish();
    signal.throwIfAborted();
    if (status.gateClosed && command.gate) throw new GateClosed(command.gate.folder);
    if (status.limitsRefused) throw new Error('the command could not join its control group');
    const outcome = interpretExit(status.exitCode ?? exit.code, exit.signal);
    return {
      ...output,
      ...outcome,
      timedOut,
      outOfMemory: plan.cgroup?.ranOutOfMemory() ?? false,
      durationMs: performance.now() - began,
      started: status.exitCode !== undefined || exit.signal !== null || !plan.options,
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    if (command.gate && child.pid !== undefined) await forgetProcess(command.gate.folder, child.pid);
  }
}

function spawnLauncher(command: Command, plan: Launch, pipes: OutputPipes): ChildProcess {
  const { limits, cgroup } = plan;
  const groups = cgroup?.joinFiles ?? [];
  const settings = [
    ...[command.gate?.folder ?? '', command.gate?.token ?? '', plan.flock, process.pid],
    ...[limits.cpuSeconds, Math.ceil(limits.fileBytes / blockBytes), plan.seccompFile ?? '', groups.length],
  ];
  const nothing = openSync('/dev/null', 'r');
  try {
    // A session of its own: the terminal's Ctrl-C does not reach it, and its early processes die as one group.
    return spawn('/bin/sh', ['-c', launcherScript, 'sh', ...settings.map(String), ...groups, ...plan.argv], {
      cwd: plan.cwd,
      env: plan.env,
      detached: true,
      stdio: [
        command.stdin === undefined ? nothing : 'pipe',
        ...pipes.writers,
        ...(['pipe', plan.options ? 'pipe' : nothing] as const),
        ...hideInherited(plan.inherited, nothing),
      ],
    });
  } finally {
    pipes.release();
    closeSync(nothing);
  }
}

/** Covers what the command would inherit from whoever started the server, beyond the descriptors of our own. */
function hideInherited(inherited: number[], nothing: number): (number | 'ignore')[] {
  const first = descriptors.options + 1;
  const length = Math.max(0, ...inherited.map((descriptor) => descriptor + 1 - first));
  return Array.from({ length }, (_, index) => (inherited.includes(index + first) ? nothing : 'ignore'));
}

/** Settles when the launcher's process and every pipe to it have closed. */
async function endOf(child: ChildProcess, pipes: OutputPipes) {
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const drained = [pipes.stdout, pipes.stderr].map((stream) => finished(stream, { writable: false }));
  const [outcome] = await Promise.all([exit, ...drained]);
  return outcome;
}

interface Status {
  /** The namespace's first process, as the machine numbers it. */
  namespace?: ProcessIdentity;
  exitCode?: number;
  gateClosed: boolean;
  limitsRefused: boolean;
}

/** Reads what the launcher and bwrap report beside the command's output: one JSON object a line. */
function followStatus(stream: Readable): Status {
  const status: Status = { gateClosed: false, limitsRefused: false };
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const report: Record<string, unknown> = JSON.parse(line);
      if (report.gate === 'closed') status.gateClosed = true;
      if (report.limits === 'refused') status.limitsRefused = true;
      if (typeof report['exit-code'] === 'number') status.exitCode = report['exit-code'];
      if (typeof report['child-pid'] === 'number') {
        const namespace = identifyProcess(report['child-pid']);
        if (namespace) status.namespace = namespace;
      }
    }
  });
  return status;
}

function feed(stream: Writable | Readable | null | undefined, content: string | Uint8Array): void {
  if (!(stream instanceof Writable)) return;
  stream.on('error', (error) => {
    // The command may close its input, or end, before it has read everything.
    if (!('code' in error && (error.code === 'EPIPE' || error.code === 'ECONNRESET'))) throw error;
  });
  stream.end(content);
}

/**
 * bwrap, like a shell, reports death by signal N as status 128 + N. Only signals whose number no common
 * program uses as a status of its own are read back (git, for one, exits with 128 and 129).
 */
const statusOfSignal: Record<number, NodeJS.Signals> = {
  130: 'SIGINT',
  132: 'SIGILL',
  133: 'SIGTRAP',
  134: 'SIGABRT',
  135: 'SIGBUS',
  136: 'SIGFPE',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  141: 'SIGPIPE',
  143: 'SIGTERM',
  152: 'SIGXCPU',
  153: 'SIGXFSZ',
  159: 'SIGSYS',
};

export function interpretExit(
  code: number | null,
  signal: string | null,
): { exitCode: number | null; signal: string | null } {
  if (signal !== null) return { exitCode: null, signal };
  const named = code === null ? undefined : statusOfSignal[code];
  return named ? { exitCode: null, signal: named } : { exitCode: code, signal: null };
}
