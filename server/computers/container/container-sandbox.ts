import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { Finding } from '../../../contract/system.ts';
import type { CrashPoints } from '../../crash-points.ts';
import { AppError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { isNewer } from '../gate.ts';
import { assertPlaces } from '../places.ts';
import { identifyProcess, processNamespace } from '../processes.ts';
import { type RegistryConfig, readRegistryConfig } from '../registry-config.ts';
import { openRegistryProxy, type RegistryProxy } from '../registry-proxy.ts';
import { prepareRuntimeFolder } from '../runtime-folder.ts';
import {
  type Command,
  type CommandResult,
  defaultLimits,
  type Gate,
  type Limits,
  type NetworkSession,
  type Sandbox,
} from '../sandbox.ts';
import { type ContainerView, gateLabel, tokenLabel } from './container-options.ts';
import { callEngine, openEngine, removeContainer } from './engine.ts';
import { prepareView } from './prepare-view.ts';
import { type ContainerReport, type ContainerSettings, examineEngine, findingOf } from './probe-engine.ts';
import { runContainer } from './run-container.ts';

export interface ContainerSandboxOptions {
  log: Logger;
  /** For files that live as long as the server; must not be visible to any command. */
  runtimeFolder: string;
  settings: ContainerSettings;
  crashPoints?: CrashPoints;
  registry?: RegistryConfig;
  /** Who commands are, as numbers; the server's own user where it is not given. */
  user?: { uid: number; gid: number };
}

const homeLabel = 'mission-control.home';
const ownerLabel = 'mission-control.owner';

/**
 * Commands in containers of Docker on this machine: a new container for each, so that limits, mounts
 * and the end of every process are the command's own, and nothing is left for the next. The engine must be on this
 * machine, because folders of this machine are mounted.
 *
 * Its gate needs no lock, because the engine itself is the arbiter. A command's container is created, with gate
 * and token as labels; then the token is read; then it is started. A new holder writes its token, and then
 * removes the containers of older tokens (`endOlder`). Whichever comes first: either the older command reads the
 * new token, or its container is among those removed, and one that is removed cannot be started.
 */
export async function openContainerSandbox(
  options: ContainerSandboxOptions,
): Promise<Sandbox & AsyncDisposable> {
  const report = await examineEngine(options.settings);
  const { image } = report;
  if (image === undefined) {
    options.log.warn({ problem: report.problem, mend: report.mend }, 'no sandbox: commands are refused');
    const refused = () => Promise.reject(refusal(report));
    return {
      kind: 'container',
      run: refused,
      diagnose: () => diagnose(options.settings),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const folder = prepareRuntimeFolder(options.runtimeFolder);
  const home = createHash('sha256').update(realpathSync(options.runtimeFolder)).digest('hex').slice(0, 16);
  const owner = identifyProcess(process.pid);
  const engine = openEngine(report.socketPath);
  await removeOrphans(engine, home, options.log);
  const { view, close } = await prepareView(folder, {
    image,
    user: options.user ?? ownUser(report),
    labels: {
      [homeLabel]: home,
      [ownerLabel]: [processNamespace(), process.pid, owner?.start ?? '0'].join('-'),
    },
  });
  return new ContainerSandbox(options, { engine, folder, view, close });
}

interface Parts {
  engine: Docker;
  /** Private to this server. */
  folder: string;
  view: ContainerView;
  close(): void;
}

class ContainerSandbox implements Sandbox, AsyncDisposable {
  readonly kind = 'container';
  readonly #options: ContainerSandboxOptions;
  readonly #parts: Parts;
  /** Containers that have ended and are being removed. */
  readonly #removals = new Set<Promise<void>>();
  #registry: Promise<RegistryProxy> | undefined;
  #count = 0;

  constructor(options: ContainerSandboxOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  async run(command: Command, signal: AbortSignal): Promise<CommandResult> {
    signal.throwIfAborted();
    assertPlaces(command);
    const limits: Limits = { ...defaultLimits, ...command.limits };
    const session = await this.#openSession(command);
    const { engine, folder, view } = this.#parts;
    const number = ++this.#count;
    return runContainer(
      command,
      {
        engine,
        view,
        limits,
        session,
        stdinFile: command.stdin === undefined ? null : join(folder, `stdin-${number}`),
        crashPoints: this.#options.crashPoints,
        remove: (container) => this.#remove(container),
      },
      signal,
    );
  }

  async endOlder(gate: Gate): Promise<void> {
    const { engine } = this.#parts;
    const filters = { label: [`${gateLabel}=${gate.folder}`] };
    const found = await callEngine('listing containers', engine.listContainers({ all: true, filters }));
    const older = found.filter(({ Labels }) => !isNewer(Labels[tokenLabel] ?? '', gate.token));
    await Promise.all(older.map(({ Id }) => removeContainer(engine, Id)));
  }

  diagnose(): Promise<Finding> {
    return diagnose(this.#options.settings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#removals);
    this.#parts.close();
    await (await this.#registry)?.[Symbol.asyncDispose]();
    await rm(this.#parts.folder, { recursive: true, force: true });
  }

  async #openSession(command: Command): Promise<NetworkSession | undefined> {
    if (typeof command.network === 'object') return command.network;
    if (command.network !== 'registry') return undefined;
    this.#registry ??= this.#openRegistry();
    return this.#registry;
  }

  async #openRegistry(): Promise<RegistryProxy> {
    const { log, registry } = this.#options;
    const folder = join(this.#parts.folder, 'registry');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return openRegistryProxy({ log, folder, config: registry ?? (await readRegistryConfig()) });
  }

  /** Nothing runs in it any more, so nobody waits for this; what fails is made good at the next start. */
  #remove(container: string): void {
    const removal = removeContainer(this.#parts.engine, container)
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error, container }, 'a container could not be removed');
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

/** An engine of an ordinary user shows that user as root inside. */
function ownUser(report: ContainerReport): { uid: number; gid: number } {
  if (report.rootless) return { uid: 0, gid: 0 };
  return { uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 };
}

async function diagnose(settings: ContainerSettings): Promise<Finding> {
  return findingOf(await examineEngine(settings), settings.image);
}

function refusal(report: ContainerReport): AppError {
  const mend = report.mend ? `: ${report.mend}` : '';
  return new AppError('sandbox_unavailable', `${report.problem}${mend}`, {
    detail: { mend: report.mend ?? null },
  });
}

/** Removes the containers of this home's dead servers. Nobody else's is touched. */
async function removeOrphans(engine: Docker, home: string, log: Logger): Promise<void> {
  const filters = { label: [`${homeLabel}=${home}`] };
  const found = await callEngine('listing containers', engine.listContainers({ all: true, filters }));
  const orphans = found.filter(({ Labels }) => {
    const [namespace, pid, start] = (Labels[ownerLabel] ?? '').split('-');
    return namespace === processNamespace() && identifyProcess(Number(pid))?.start !== start;
  });
  if (orphans.length > 0) log.info({ containers: orphans.length }, 'removing what a dead server left');
  await Promise.all(orphans.map(({ Id }) => removeContainer(engine, Id)));
}
