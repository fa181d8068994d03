import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CrashPoints } from '../crash-points.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import {
  buildBubblewrapOptions,
  descriptors,
  type SystemView,
  withProcessLimits,
} from './bubblewrap-arguments.ts';
import { type Cgroup, type CgroupLimits, openCgroups } from './cgroup.ts';
import { type Launch, launch } from './launch.ts';
import { listInheritedDescriptors, openPipePool, type PipePool } from './pipes.ts';
import { probeSandbox, type SandboxReport } from './probe-sandbox.ts';
import { type RegistryConfig, readRegistryConfig } from './registry-config.ts';
import { bindsOf, openRegistryProxy, type RegistryProxy } from './registry-proxy.ts';
import { prepareRuntimeFolder } from './runtime-folder.ts';
import {
  type Command,
  type CommandResult,
  defaultLimits,
  type Limits,
  type NetworkSession,
  type Sandbox,
} from './sandbox.ts';
import { prepareSystem } from './system-files.ts';

interface LocalSandboxOptions {
  log: Logger;
  /** For files that live as long as the server; must not be visible to any command. */
  runtimeFolder: string;
  crashPoints?: CrashPoints;
  /** Which registries `network: 'registry'` reaches, and how; read from the machine's npm where it is not given. */
  registry?: RegistryConfig;
}

/** The launcher's own environment: enough to find `flock` and to say errors in English. */
const launcherEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8' };

/**
 * The sandbox of this machine, by bubblewrap. Where it is impossible every `run` says so; nothing runs without
 * walls. Its system files are a copy made now: what is installed later shows after a restart.
 */
export async function openLocalSandbox(options: LocalSandboxOptions): Promise<Sandbox & AsyncDisposable> {
  const report = await probeSandbox();
  const folder = prepareRuntimeFolder(options.runtimeFolder);
  if (!report.available || !report.bubblewrap || !report.flock) {
    options.log.warn({ problem: report.problem, mend: report.mend }, 'no sandbox: commands are refused');
    return {
      kind: 'bubblewrap',
      run: () => Promise.reject(refusal(report)),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  }
  const createCgroup = await openCgroups();
  if (!createCgroup)
    options.log.warn('no writable control groups: memory and processes are limited less strictly');
  return new BubblewrapSandbox(options, {
    bubblewrap: report.bubblewrap.path,
    flock: report.flock,
    folder,
    system: prepareSystem(folder),
    createCgroup,
    pipes: openPipePool(folder),
    inherited: listInheritedDescriptors(),
  });
}

interface Parts {
  bubblewrap: string;
  flock: string;
  /** Private to this server. */
  folder: string;
  system: SystemView;
  createCgroup: ((limits: CgroupLimits) => Cgroup) | undefined;
  pipes: PipePool;
  inherited: number[];
}

class BubblewrapSandbox implements Sandbox, AsyncDisposable {
  readonly kind = 'bubblewrap';
  readonly #options: LocalSandboxOptions;
  readonly #parts: Parts;
  #proxy: Promise<RegistryProxy> | undefined;

  constructor(options: LocalSandboxOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  async run(command: Command, signal: AbortSignal): Promise<CommandResult> {
    signal.throwIfAborted();
    const limits: Limits = { ...defaultLimits, ...command.limits };
    const session = command.network === 'registry' ? await this.#openProxy() : command.network;
    const proxy = typeof session === 'object' ? session : undefined;
    const shown = proxy === undefined ? {} : { binds: bindsOf(proxy), env: proxy.env };
    const options = buildBubblewrapOptions(command, this.#parts.system, limits, shown);
    const cgroup = this.#parts.createCgroup?.(limits);
    try {
      this.#options.crashPoints?.reach('spawn:before');
      const plan = this.#plan(command, limits, options, cgroup, proxy);
      const { started, ...result } = await launch(command, plan, signal);
      this.#options.crashPoints?.reach('spawn:after');
      return started ? result : interpretFailedStart(result);
    } finally {
      await cgroup?.remove();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#proxy)?.[Symbol.asyncDispose]();
    await rm(this.#parts.folder, { recursive: true, force: true });
  }

  #plan(
    command: Command,
    limits: Limits,
    options: string[],
    cgroup: Cgroup | undefined,
    proxy: NetworkSession | undefined,
  ): Launch {
    const { bubblewrap, flock, folder, inherited, pipes, system } = this.#parts;
    const argv = [...(proxy?.bridge ?? []), ...command.argv];
    return {
      argv: [
        bubblewrap,
        ...['--args', `${descriptors.options}`, '--json-status-fd', `${descriptors.status}`, '--'],
        ...(cgroup ? argv : withProcessLimits(argv, limits)),
      ],
      env: launcherEnvironment,
      cwd: '/',
      options,
      ...(system.seccomp ? { seccompFile: join(folder, 'seccomp') } : {}),
      ...(cgroup ? { cgroup } : {}),
      limits,
      flock,
      pipes,
      inherited,
    };
  }

  #openProxy(): Promise<RegistryProxy> {
    this.#proxy ??= this.#createProxy();
    return this.#proxy;
  }

  async #createProxy(): Promise<RegistryProxy> {
    const { log, registry } = this.#options;
    const folder = join(this.#parts.folder, 'registry');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return openRegistryProxy({ log, folder, config: registry ?? (await readRegistryConfig()) });
  }
}

/** @param report of an unavailable sandbox */
export function refusal(report: SandboxReport): AppError {
  const mend = report.mend ? `; as root: ${report.mend}` : '';
  return new AppError('sandbox_unavailable', `${report.problem}${mend}`, {
    detail: { mend: report.mend ?? null },
  });
}

/** A program that cannot be started is the command's failure, with a shell's status; all else is ours. */
function interpretFailedStart(result: CommandResult): CommandResult {
  const complaint =
    result.stderr.toString('utf8', 0, 2000).trim() || 'bubblewrap ended before the command started';
  if (/^bwrap: execvp .*: No such file or directory$/m.test(complaint)) return { ...result, exitCode: 127 };
  if (/^bwrap: execvp /m.test(complaint)) return { ...result, exitCode: 126 };
  throw new AppError('sandbox_unavailable', `the sandbox of this command could not be made: ${complaint}`);
}
