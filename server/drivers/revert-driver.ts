import type { CheckStep } from '../../contract/steps.ts';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { revert } from '../computers/workspaces/revert.ts';
import { isHeldBy } from '../computers/workspaces/rework.ts';
import { recordRevert } from '../domain/changes/reverting.ts';
import type { DriveResult, Driver } from '../runs/worker.ts';
import { type BranchMove, openBranchDriver } from './branch-move.ts';
import { CheckRunner } from './checks.ts';
import { isRed, runChecks } from './evidence.ts';
import type { DriverParts } from './parts.ts';
import { readPreparation } from './prepare.ts';
import { signDelivery } from './signing.ts';

/** Takes a merged change out of its branch again, as a commit of its own that has passed the checks. */
export function openRevertDriver(parts: DriverParts): Driver {
  return openBranchDriver(parts, 'revert', revertOnce);
}

async function revertOnce(branch: BranchMove): Promise<DriveResult | null> {
  const { change, parts, context, date } = branch;
  const { git } = parts.computer;
  const { signal } = context;
  const { repository, commit: target } = await branch.fetch();
  await branch.settleIntent(repository, target);
  for (const commit of branch.intended())
    if (await isHeldBy(git, repository, { tip: target, commit }, signal)) return reverted(branch, commit);
  if (!(await isHeldBy(git, repository, { tip: target, commit: change.commit }, signal))) {
    return branch.failed(
      `${change.targetBranch} no longer holds the change: its history was rewritten since the merge. Revert it by hand.`,
    );
  }
  const made = await revert(
    git,
    repository,
    {
      target,
      base: change.baseCommit,
      change: change.commit,
      message: `Revert "${change.title}"\n\nTakes out ${change.id}, merged as ${change.mergedCommit ?? change.commit}.`,
      author: parts.settings.identity,
      date,
    },
    signal,
  );
  if (made.kind === 'nothing_left') return reverted(branch, target);
  if (made.kind === 'conflict') {
    return branch.failed(
      `what came after the change touches the same lines, in ${made.files.join(', ')}; revert it by hand: git revert ${change.mergedCommit ?? change.commit}`,
    );
  }
  const range = { commit: made.commit, above: [target] };
  const plan = { commit: await signDelivery(parts, repository, range, signal), target };
  const objection = await recheck(branch, repository, plan);
  if (objection !== null) return branch.failed(objection);
  const moved = await branch.move(repository, plan, `mission/revert-${change.id}`);
  if (moved.kind === 'ended') return moved.result;
  return moved.kind === 'moved' ? reverted(branch, made.commit) : null;
}

/**
 * The checks on the branch without the change. What was red with it too is no objection: that may be why it
 * is reverted. Null where there is none.
 */
async function recheck(
  branch: BranchMove,
  repository: RepositoryHandle,
  plan: { commit: string; target: string },
): Promise<string | null> {
  const { change, parts, context } = branch;
  const { checks, setupCommands, services } = await readPreparation(parts.database, change.runId);
  const request = {
    computer: parts.computer,
    repository,
    setupCommands,
    since: 0,
    runner: new CheckRunner(parts, context, { repository, services }),
    signal: context.signal,
    boundary: () => branch.boundary(),
  };
  const red = (await runChecks({ ...request, checks }, plan.commit, 'change')).filter(isRed);
  if (red.length === 0) return null;
  const commands = red.map((step) => step.intent.command);
  const before = await runChecks({ ...request, checks: commands }, plan.target, 'base');
  const broken = red.filter((_, index) => !(before[index] && isRed(before[index])));
  return broken.length === 0 ? null : describe(change.targetBranch, broken);
}

function describe(branch: string, broken: CheckStep[]): string {
  const checks = broken.map((step) => `\`${step.intent.command}\`: ${step.result?.excerpt ?? ''}`);
  return `without the change the checks of ${branch} are red: ${checks.join('\n\n')}`;
}

function reverted({ change, context, parts }: BranchMove, commit: string): DriveResult {
  const { run } = context;
  return {
    kind: 'end',
    status: 'succeeded',
    outcome: `taken out of ${change.targetBranch} by ${commit.slice(0, 10)}`,
    settle: (transaction) =>
      recordRevert(transaction, {
        changeId: change.id,
        taskId: run.taskId,
        runId: run.runId,
        commit,
        actor: parts.settings.owner,
      }),
  };
}
