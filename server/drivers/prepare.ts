import { z } from 'zod';
import type { PhaseStep } from '../../contract/steps.ts';
import { service } from '../../contract/tasks.ts';
import type { NetworkSession } from '../computers/sandbox.ts';
import type { PreparedSetup } from '../computers/workspaces/prepared-setup.ts';
import { requireServices } from '../computers/workspaces/services.ts';
import type { Workspace } from '../computers/workspaces/workspace.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { getChange } from '../domain/changes/changes.ts';
import { inFolder } from '../domain/checks/check-folders.ts';
import { AppError } from '../errors.ts';
import type { DriveContext } from '../runs/worker.ts';
import type { Assignment } from './assignment.ts';
import { openAttachments, type TaskAttachments } from './attachments.ts';
import { CheckRunner, planSetup } from './checks.ts';
import type { DriverParts } from './parts.ts';
import { findCheckCommands, findSetupCommands, openCommitFiles, requireFolder } from './project-parts.ts';
import { readRepositoryTexts, repositoryText } from './repository-texts.ts';

/** What the control plane found and pinned before the agent began; the result of the phase `prepare`. */
const preparationSchema = z.object({
  repository: z.object({ key: z.string(), path: z.string(), location: z.string() }),
  commit: z.string(),
  branch: z.string(),
  warnings: z.array(z.string()),
  checks: z.array(z.string()),
  checksReason: z.string(),
  setupCommands: z.array(z.string()),
  setupKey: z.string(),
  services: z.array(service).default([]),
  repositoryTexts: z.array(repositoryText).default([]),
});
export type Preparation = z.infer<typeof preparationSchema>;

export interface PreparedRun {
  preparation: Preparation;
  setup: PreparedSetup | null;
  runner: CheckRunner;
  attachments: TaskAttachments;
}

/** Fetches the source, finds checks and set-up and pins them, prepares dependencies, runs the checks on the base. */
export async function prepareRun(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
  boundary: () => void,
): Promise<PreparedRun> {
  const preparation = await fetchAndPin(parts, context, assignment);
  const runner = new CheckRunner(parts, context, preparation);
  boundary();
  const setup = await runner.prepareSetup(
    preparation.commit,
    preparation.setupCommands,
    preparation.setupKey,
    0,
  );
  for (const command of preparation.checks) {
    boundary();
    await runner.check({ command, commit: preparation.commit, where: 'base' }, setup, 0);
  }
  return { preparation, setup, runner, attachments: await openAttachments(parts, assignment.taskId) };
}

/** The run's workspace: the one that it has, or a fresh clone where none was ever finished. */
export async function openWorkspace(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
  prepared: PreparedRun,
  network?: () => Promise<NetworkSession | 'none'>,
): Promise<Workspace> {
  const { workspaces } = parts.computer;
  const { run, signal, journal } = context;
  const { repository, commit, services } = prepared.preparation;
  const request = {
    repository,
    services,
    attachments: prepared.attachments.mounts,
    network,
    ...(prepared.setup === null ? {} : { setup: prepared.setup }),
  };
  const token = String(run.token);
  try {
    return await workspaces.open(run.runId, token, request, signal);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    if (journal.steps.some((step) => step.kind === 'tool' && step.snapshot !== null)) {
      throw new AppError(
        'unprocessable',
        `the workspace of ${run.runId} was removed from the disk; start the task again`,
      );
    }
    const { taskId, origin } = assignment;
    const branch = `mission/${taskId}` as const;
    return workspaces.create(
      run.runId,
      token,
      {
        ...request,
        commit,
        branch,
        identity: parts.settings.identity,
        ...(origin === null ? {} : { start: { commit: origin.start, uncommitted: origin.uncommitted } }),
      },
      signal,
    );
  }
}

/** What was pinned for a run that has been prepared. */
export async function readPreparation(database: Queryable, runId: string): Promise<Preparation> {
  const row = await database.one<{ result: unknown }>(
    sql`SELECT result FROM steps WHERE run_id = ${runId} AND kind = 'phase' AND name = 'prepare' AND status = 'done'`,
  );
  return preparationSchema.parse(row.result);
}

async function fetchAndPin(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
): Promise<Preparation> {
  const { journal, signal } = context;
  const known = journal.steps.find(
    (step): step is PhaseStep => step.kind === 'phase' && step.name === 'prepare',
  );
  if (known?.status === 'done' && known.result !== null) return preparationSchema.parse(known.result);
  const step =
    known ?? (await journal.intend({ kind: 'phase', name: 'prepare', intent: { phase: 'prepare' } }));
  const { computer } = parts;
  requireServices(computer.services, assignment.services ?? []);
  const { repository, commit, branch, warnings } = await findBase(parts, assignment, signal);
  const files = await openCommitFiles(computer, repository, commit, signal);
  const folder = assignment.folder ?? '';
  requireFolder(files, folder, `${repository.location} (${branch})`);
  const checks =
    assignment.checks === null
      ? await findCheckCommands(files, folder)
      : { checks: linesIn(folder, assignment.checks), checksReason: 'given with the task' };
  const commands =
    assignment.setup === null
      ? await findSetupCommands(files, folder, checks.checks)
      : linesIn(folder, assignment.setup);
  const plan = await planSetup(computer, repository, commit, commands, signal);
  const preparation: Preparation = {
    repository,
    commit,
    branch,
    warnings,
    ...checks,
    setupCommands: plan.commands,
    setupKey: plan.key,
    services: assignment.services ?? [],
    repositoryTexts: await readRepositoryTexts(files, folder),
  };
  await journal.complete(step.seq, { status: 'done', result: preparation });
  return preparation;
}

/** The branch's tip; for a change that was sent back its own base, so that its checks stay pinned there. */
async function findBase(
  parts: DriverParts,
  { location, branch, origin }: Assignment,
  signal: AbortSignal,
): Promise<Pick<Preparation, 'repository' | 'commit' | 'branch' | 'warnings'>> {
  if (origin === null)
    return parts.computer.repositories.fetch({ location, branch: branch ?? undefined }, signal);
  const { runId } = await getChange(parts.database, origin.changeId);
  const earlier = await readPreparation(parts.database, runId);
  return { repository: earlier.repository, commit: origin.base, branch: earlier.branch, warnings: [] };
}

const linesIn = (folder: string, lines: readonly string[]) => lines.map((line) => inFolder(folder, line));
