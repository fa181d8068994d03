import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CrashPoints } from '../crash-points.ts';
import { AppError } from '../errors.ts';
import { buildEnvironment } from './bubblewrap-arguments.ts';
import { launch } from './launch.ts';
import { listInheritedDescriptors, openPipePool } from './pipes.ts';
import { findProgram } from './probe-sandbox.ts';
import { awaitEnd, identifyProcess, killProcess, type ProcessIdentity } from './processes.ts';
import { type Command, type CommandResult, defaultLimits, type Sandbox } from './sandbox.ts';

/** Marks every process of a run by its inherited environment, which is how daemons are found again. */
const markVariable = 'MISSION_COMMAND_MARK';

/**
 * Commands without walls, for `--unsafe-no-sandbox` alone. The contract holds except for what only walls give:
 *
 * - Mounts are translated, not made: `cwd`, each argument and each variable that is, or begins with, a mount's
 *   target or a scratch folder is rewritten to the real folder. A path inside shell text is not. `read` mounts
 *   can be written.
 * - The network is open; the machine's files and processes are in reach; memory and processes have no limit.
 * - A process that clears its environment and leaves its group outlives the command.
 */
export function openUnsafeSandbox(options: { crashPoints?: CrashPoints } = {}): Sandbox {
  return {
    kind: 'unsafe',
    async run(command, signal): Promise<CommandResult> {
      signal.throwIfAborted();
      const flock = findProgram('flock');
      if (!flock) {
        throw new AppError(
          'sandbox_unavailable',
          'flock is not installed; as root: apt-get install -y util-linux',
        );
      }
      const folder = await mkdtemp(join(tmpdir(), 'mission-unsafe-'));
      try {
        options.crashPoints?.reach('spawn:before');
        const { started: _, ...result } = await runTranslated(command, { folder, flock }, signal);
        options.crashPoints?.reach('spawn:after');
        return result;
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

async function runTranslated(
  command: Command,
  place: { folder: string; flock: string },
  signal: AbortSignal,
) {
  const scratch = (command.scratch ?? []).map((target, index) => ({
    target,
    source: join(place.folder, `${index}`),
  }));
  const [home, temporary] = [join(place.folder, 'home'), join(place.folder, 'tmp')];
  for (const folder of [home, temporary, ...scratch.map(({ source }) => source)]) await mkdir(folder);
  const translate = translator([...command.mounts, ...scratch]);
  const mark = randomUUID();
  const path = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin`;
  const variables = buildEnvironment(path, command.env);
  const translated = Object.entries(variables).map(([name, value]) => [name, translate(value)] as const);
  const env = { ...Object.fromEntries(translated), HOME: home, TMPDIR: temporary, [markVariable]: mark };
  return launch(
    command,
    {
      // The launcher's own channel is not for the command.
      argv: ['/bin/sh', '-c', 'exec "$@" 3>&-', 'sh', ...command.argv.map(translate)],
      env,
      cwd: translate(command.cwd),
      limits: { ...defaultLimits, ...command.limits },
      flock: place.flock,
      pipes: openPipePool(place.folder),
      inherited: listInheritedDescriptors(),
      endStragglers: () => endMarked(mark),
    },
    signal,
  );
}

/** Rewrites a path that lies in a mount; the deepest mount decides. Everything else stays. */
export function translator(mounts: { source: string; target: string }[]): (text: string) => string {
  const deepestFirst = [...mounts].sort((a, b) => b.target.length - a.target.length);
  return (text) => {
    const mount = deepestFirst.find(({ target }) => text === target || text.startsWith(`${target}/`));
    return mount ? mount.source + text.slice(mount.target.length) : text;
  };
}

async function endMarked(mark: string): Promise<void> {
  // In the midst of `exec` a process shows no environment, and it may fork while we look: none is left only when
  // two looks, one after the other, find none.
  let clean = 0;
  for (let round = 0; round < 40; round++) {
    const marked = findMarked(mark);
    clean = marked.length === 0 ? clean + 1 : 0;
    if (clean === 2) return;
    for (const process of marked) killProcess(process);
    await awaitEnd(marked);
    await delay(5);
  }
  throw new Error('the command starts processes faster than they can be ended');
}

function findMarked(mark: string): ProcessIdentity[] {
  const entry = `${markVariable}=${mark}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => readEnvironment(pid).split('\0').includes(entry))
    .flatMap((pid) => identifyProcess(Number(pid)) ?? []);
}

function readEnvironment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch (error) {
    // Ended meanwhile, or another user's.
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}
