import { statfs } from 'node:fs/promises';
import type { ProviderView, TestedModel } from '../../contract/models.ts';
import type { Finding } from '../../contract/system.ts';
import { probeSandbox } from '../computers/probe-sandbox.ts';
import type { Sandbox, SandboxKind } from '../computers/sandbox.ts';
import { AppError } from '../errors.ts';

const wantedDiskBytes = 2 * 1024 ** 3;

/** What is missing on this machine, each with the one line that mends it. */
export async function diagnose(parts: {
  config: { home: string; agentModel: string };
  /** What work needs in order to go on. */
  readiness: () => Promise<Finding[]>;
  sandbox: Pick<Sandbox, 'kind' | 'diagnose'>;
  providers: () => Promise<ProviderView[]>;
  /** What goes on beside the runs: notifications, and what fills the disk. */
  upkeep: () => Promise<Finding[]>;
  /** A short real call of a model; null where none is wanted. */
  testModel: ((model: string) => Promise<TestedModel>) | null;
}): Promise<Finding[]> {
  return [
    ...(await parts.readiness()),
    (await parts.sandbox.diagnose?.()) ?? (await diagnoseSandbox(parts.sandbox.kind)),
    await diagnoseDisk(parts.config.home),
    ...(await parts.upkeep()),
    ...(await diagnoseProviders(parts)),
  ];
}

async function diagnoseSandbox(kind: SandboxKind): Promise<Finding> {
  if (kind === 'unsafe') {
    return {
      name: 'sandbox',
      state: 'failed',
      detail: 'commands run WITHOUT a sandbox (--unsafe-no-sandbox)',
      mend: 'restart without --unsafe-no-sandbox',
    };
  }
  const report = await probeSandbox();
  if (!report.available) {
    return {
      name: 'sandbox',
      state: 'failed',
      detail: report.problem ?? 'not available',
      mend: report.mend ?? null,
    };
  }
  const limits =
    report.cgroups === 'none' ? 'limits for each process only' : `limits by cgroups ${report.cgroups}`;
  return {
    name: 'sandbox',
    state: report.cgroups === 'none' || !report.seccomp ? 'warning' : 'ok',
    detail: `${report.bubblewrap?.version ?? 'bubblewrap'}, ${limits}, seccomp ${report.seccomp ? 'on' : 'not for this processor'}`,
    mend: null,
  };
}

async function diagnoseDisk(home: string): Promise<Finding> {
  const disk = await statfs(home);
  const free = disk.bavail * disk.bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free at ${home}`;
  return free > wantedDiskBytes
    ? { name: 'disk', state: 'ok', detail, mend: null }
    : {
        name: 'disk',
        state: 'warning',
        detail,
        mend: `free some space, or set MISSION_HOME to a larger disk`,
      };
}

type ModelParts = Pick<Parameters<typeof diagnose>[0], 'config' | 'providers' | 'testModel'>;

async function diagnoseProviders({ config, providers, testModel }: ModelParts): Promise<Finding[]> {
  const views = await providers();
  const broken = views.flatMap(({ name, problem }): Finding[] =>
    problem === null ? [] : [{ name: `provider ${name}`, state: 'failed', detail: problem, mend: null }],
  );
  const connected = views.filter((view) => view.connected).map(({ name }) => name);
  if (connected.length === 0) {
    const detail = 'no provider is connected; only recordings can be run';
    const mend = 'connect one under Settings, or export ANTHROPIC_API_KEY=… and restart';
    return [...broken, { name: 'models', state: 'warning', detail, mend }];
  }
  const detail = `connected: ${connected.join(', ')}`;
  if (testModel === null) return [...broken, { name: 'models', state: 'ok', detail, mend: null }];
  return [...broken, await tryModel(config.agentModel, testModel)];
}

async function tryModel(model: string, test: NonNullable<ModelParts['testModel']>): Promise<Finding> {
  try {
    const { ok, milliseconds, message } = await test(model);
    const detail = ok ? `${message}, after ${milliseconds} ms` : message;
    return { name: 'models', state: ok ? 'ok' : 'failed', detail, mend: null };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'unprocessable') throw error;
    const mend =
      'choose another model by "agent": {"model": "…"} in mission.config.json, or connect its provider';
    return { name: 'models', state: 'failed', detail: error.message, mend };
  }
}
