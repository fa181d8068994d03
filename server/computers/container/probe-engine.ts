import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import type Docker from 'dockerode';
import type { SandboxSettings } from '../../../contract/sandbox.ts';
import type { Finding } from '../../../contract/system.ts';
import { AppError } from '../../errors.ts';
import { callEngine, openEngine, statusOf } from './engine.ts';

export type ContainerSettings = Pick<SandboxSettings, 'engine' | 'image'>;

/** What the engine and the image offer, for `doctor` and for the refusal of commands. */
export interface ContainerReport {
  socketPath: string;
  /** Undefined where commands cannot run. */
  image: Docker.ImageInspectInfo | undefined;
  engine: string;
  /** The engine runs as an ordinary user, whose number is 0 inside. */
  rootless: boolean;
  /** What holds less strictly than it should. */
  weaknesses: string[];
  problem: string | undefined;
  /** The exact line that mends it. */
  mend: string | undefined;
}

/** Docker's, of the machine and of the user. */
function usualSockets(): string[] {
  return ['/var/run/docker.sock', `/run/user/${userInfo().uid}/docker.sock`];
}

export async function examineEngine(settings: ContainerSettings): Promise<ContainerReport> {
  const socketPath = settings.engine ?? usualSockets().find(existsSync) ?? '/var/run/docker.sock';
  const report: ContainerReport = {
    socketPath,
    image: undefined,
    engine: '',
    rootless: false,
    weaknesses: [],
    problem: undefined,
    mend: undefined,
  };
  if (!socketPath.startsWith('/')) {
    const problem = `the container engine must be on this machine, because its folders are mounted, not ${socketPath}`;
    return { ...report, problem, mend: 'export DOCKER_HOST=unix:///var/run/docker.sock' };
  }
  const engine = openEngine(socketPath);
  try {
    const info: unknown = await callEngine('asking what it is', engine.info());
    const { Components = [] } = await callEngine('asking what it is', engine.version());
    Object.assign(report, readInfo(info));
    if (Components.some(({ Name }) => Name === 'Podman Engine')) {
      // Folders that cover a part of a mount, read-only parts of /proc and the end for want of memory differ.
      const problem = `${socketPath} is Podman's, which does not keep all that the sandbox promises`;
      return { ...report, problem, mend: 'apt-get install -y docker.io && systemctl start docker' };
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const forbidden = /EACCES/.test(error.message);
    const mend = forbidden
      ? `usermod -aG docker ${userInfo().username}`
      : 'apt-get install -y docker.io && systemctl start docker';
    return { ...report, problem: `no container engine answers at ${socketPath}: ${error.message}`, mend };
  }
  if (settings.image === null) {
    const mend = 'export MISSION_SANDBOX_IMAGE=node:24-bookworm, best with its digest';
    return { ...report, problem: 'MISSION_SANDBOX=container needs an image', mend };
  }
  try {
    const image = await callEngine('looking for the image', engine.getImage(settings.image).inspect());
    return { ...report, image };
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    return {
      ...report,
      problem: `the engine does not have the image ${settings.image}`,
      mend: `docker pull ${settings.image}`,
    };
  }
}

function readInfo(info: unknown): Pick<ContainerReport, 'engine' | 'rootless' | 'weaknesses'> {
  const facts = new Map(typeof info === 'object' && info !== null ? Object.entries(info) : []);
  const security = [facts.get('SecurityOptions')].flat().map(String);
  const rootless = security.some((option) => /\bname=rootless\b/.test(option));
  const weaknesses = [
    ...(facts.get('MemoryLimit') === false ? ['memory is not limited'] : []),
    ...(facts.get('PidsLimit') === false ? ['processes are not limited'] : []),
    ...(security.some((option) => /\bname=seccomp\b/.test(option)) ? [] : ['no seccomp']),
    ...(process.getuid?.() === 0 && !rootless
      ? ['commands are root inside, without capabilities, because the server is root']
      : []),
  ];
  return {
    engine: `container engine ${String(facts.get('ServerVersion') ?? '')}`.trim(),
    rootless,
    weaknesses,
  };
}

export function findingOf(report: ContainerReport, image: string | null): Finding {
  if (report.image === undefined) {
    return {
      name: 'sandbox',
      state: 'failed',
      detail: report.problem ?? 'not available',
      mend: report.mend ?? null,
    };
  }
  const detail = [`${report.engine}, image ${image ?? report.image.Id}`, ...report.weaknesses].join('; ');
  const asRoot = report.weaknesses.some((weakness) => weakness.startsWith('commands are root'));
  return {
    name: 'sandbox',
    state: report.weaknesses.length === 0 ? 'ok' : 'warning',
    detail,
    mend: asRoot ? 'run Mission Control as a user of its own who is in the group docker' : null,
  };
}
