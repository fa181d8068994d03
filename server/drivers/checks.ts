import type { CheckReceipt } from '../../contract/changes.ts';
import type { CheckIntent, CheckResult, CheckStep } from '../../contract/steps.ts';
import type { PreparedSetup } from '../computers/workspaces/prepared-setup.ts';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import type { ServiceName } from '../computers/workspaces/services.ts';
import { setupKey } from '../computers/workspaces/setups.ts';
import { AppError } from '../errors.ts';
import type { DriveContext } from '../runs/worker.ts';
import type { Computer, DriverParts } from './parts.ts';
import { findLockfiles, openCommitFiles } from './project-parts.ts';
import { keepOutput, newOutputFile } from './tool-ports.ts';

/** Runs checks of one run, each as a journaled step that is done again if a worker died in its middle. */
export class CheckRunner {
  readonly #parts: DriverParts;
  readonly #context: DriveContext;
  readonly #repository: RepositoryHandle;
  readonly #services: readonly ServiceName[];

  constructor(
    parts: DriverParts,
    context: DriveContext,
    project: { repository: RepositoryHandle; services: readonly ServiceName[] },
  ) {
    this.#parts = parts;
    this.#context = context;
    this.#repository = project.repository;
    this.#services = project.services;
  }

  /**
   * One check in a clean workspace, or its recorded result where it has run already.
   * @param since only steps after this one count as already run
   */
  async check(intent: CheckIntent, setup: PreparedSetup | null, since: number): Promise<CheckStep> {
    const known = this.#find(intent, since);
    if (known !== undefined && known.status !== 'intended') return known;
    const { journal, run, signal } = this.#context;
    const step = known ?? (await journal.intend({ kind: 'check', name: intent.command, intent }));
    const outputFile = await newOutputFile(this.#parts);
    const { cleanRoom, gateFolder } = this.#parts.computer;
    const result = await cleanRoom.runCheck(
      {
        repository: this.#repository,
        commit: intent.commit,
        where: intent.where,
        step: `${run.runId}/${step.seq}`,
        command: intent.command,
        services: this.#services,
        outputFile,
        limits: { timeoutMs: this.#parts.settings.checkTimeoutMs },
        gate: { folder: gateFolder(run.runId), token: String(run.token) },
        ...(setup === null ? {} : { setup }),
      },
      signal,
    );
    const artifact = await keepOutput(this.#parts, run, {
      path: outputFile,
      name: `${intent.where}: ${intent.command}`,
      mediaType: 'text/plain',
      actor: 'control-plane',
    });
    const { outputBytes: _, ...rest } = result;
    return this.#complete(step.seq, { ...rest, setupKey: setup?.key ?? '', artifact });
  }

  /** Prepares the project's dependencies for a commit, as a step. Null where there is nothing to prepare. */
  async prepareSetup(
    commit: string,
    commands: readonly string[],
    key: string,
    since: number,
  ): Promise<PreparedSetup | null> {
    if (commands.length === 0) return null;
    const { setups } = this.#parts.computer;
    const intent: CheckIntent = { command: commands.join(' && '), commit, where: 'setup' };
    const known = this.#find(intent, since);
    if (known !== undefined && known.status !== 'intended') {
      const prepared = await setups.find(key);
      if (prepared !== null) return prepared;
    }
    const { journal, run, signal } = this.#context;
    const open = known?.status === 'intended' ? known : undefined;
    const step = open ?? (await journal.intend({ kind: 'check', name: intent.command, intent }));
    const began = this.#parts.clock.monotonic();
    try {
      const reused = (await setups.find(key)) !== null;
      const prepared = await setups.prepare(
        {
          repository: this.#repository,
          commit,
          commands: [...commands],
          key,
          step: `${run.runId}/${step.seq}`,
        },
        signal,
      );
      await this.#complete(step.seq, {
        exitCode: 0,
        outcome: 'passed',
        durationMs: Math.round(this.#parts.clock.monotonic() - began),
        setupKey: key,
        excerpt: reused ? 'prepared before for the same lockfile' : '',
      });
      return prepared;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'setup_failed') throw error;
      await this.#complete(step.seq, {
        exitCode: 1,
        outcome: 'failed',
        durationMs: Math.round(this.#parts.clock.monotonic() - began),
        setupKey: key,
        excerpt: error.message,
      });
      throw error;
    }
  }

  #find(intent: CheckIntent, since: number): CheckStep | undefined {
    return this.#context.journal.steps.findLast(
      (step): step is CheckStep =>
        step.kind === 'check' &&
        step.status !== 'in_doubt' &&
        step.seq > since &&
        step.intent.command === intent.command &&
        step.intent.commit === intent.commit &&
        step.intent.where === intent.where,
    );
  }

  async #complete(seq: number, result: CheckResult): Promise<CheckStep> {
    const status = result.outcome === 'passed' ? 'done' : 'failed';
    const step = await this.#context.journal.complete(seq, { status, result });
    if (step.kind !== 'check') throw new Error(`step ${seq} is no check`);
    return step;
  }
}

export interface SetupPlan {
  commands: string[];
  key: string;
}

/** What prepares a commit's dependencies: lines run from the root, and the key of them and its lockfiles. */
export async function planSetup(
  computer: Computer,
  repository: RepositoryHandle,
  commit: string,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<SetupPlan> {
  const files = await openCommitFiles(computer, repository, commit, signal);
  const lockfiles = await findLockfiles(files, commands);
  // Commands of the user's own may read anything: without a lockfile they belong to the commit.
  if (lockfiles.length === 0 && commands.length > 0) lockfiles.push({ path: '', content: commit });
  const key = setupKey({
    repository: repository.key,
    commands: [...commands],
    lockfiles,
    nodeVersion: process.version,
    architecture: process.arch,
  });
  return { commands: [...commands], key };
}

export function toReceipt(step: CheckStep): CheckReceipt[] {
  const { where, command, commit } = step.intent;
  if (step.result === null || where === 'setup' || step.result.outcome === 'refused') return [];
  const { exitCode, outcome, durationMs, setupKey: key, artifact, excerpt } = step.result;
  return [
    {
      command,
      where,
      commit,
      exitCode,
      outcome,
      durationMs,
      setupKey: key,
      artifact: artifact ?? null,
      excerpt,
    },
  ];
}
