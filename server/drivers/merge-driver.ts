import { merge } from '../computers/workspaces/merge.ts';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { commitTree, keepStart } from '../computers/workspaces/rework.ts';
import { recordMerge, waitForReview } from '../domain/changes/changes.ts';
import { countCollisions, type SendBack, sendBack } from '../domain/changes/sending-back.ts';
import type { DriveResult, Driver } from '../runs/worker.ts';
import { type BranchMove, openBranchDriver } from './branch-move.ts';
import { CheckRunner } from './checks.ts';
import { gatherEvidence } from './evidence.ts';
import type { DriverParts } from './parts.ts';
import { readPreparation } from './prepare.ts';
import { closeUp } from './rest.ts';
import { signDelivery } from './signing.ts';

/** What will become of the target branch: the commit to move it to, and whether that has its evidence. */
type Plan =
  | { kind: 'already_merged'; commit: string }
  | { kind: 'move'; commit: string; target: string; checked: boolean }
  | { kind: 'conflict'; target: string; files: string[]; tree: string };

/**
 * Merges a change: onto the base that was checked at once, else the merge is made and checked first. What
 * collides with a change that was quicker goes back to its agent. Whether the branch has moved before a crash
 * is read from the branch itself.
 */
export function openMergeDriver(parts: DriverParts): Driver {
  return openBranchDriver(parts, 'merge', mergeOnce);
}

async function mergeOnce(branch: BranchMove): Promise<DriveResult | null> {
  const { change } = branch;
  const { repository, commit: target } = await branch.fetch();
  await branch.settleIntent(repository, target);
  const plan = await planMerge(branch, repository, target);
  if (plan.kind === 'already_merged') return merged(branch, plan.commit);
  if (plan.kind === 'conflict') return giveBackConflict(branch, repository, plan);
  if (!plan.checked) {
    const objection = await recheck(branch, repository, plan);
    if (objection !== null) return objection;
  }
  const moved = await branch.move(repository, plan, `mission/${change.id}`);
  if (moved.kind === 'ended') return moved.result;
  return moved.kind === 'moved' ? merged(branch, plan.commit) : null;
}

async function planMerge(branch: BranchMove, repository: RepositoryHandle, target: string): Promise<Plan> {
  const { change, parts, context, date } = branch;
  if (target === change.baseCommit) return { kind: 'move', commit: change.commit, target, checked: true };
  const made = await merge(
    parts.computer.git,
    repository,
    {
      target,
      change: change.commit,
      message: `Merge ${change.title}\n\n${change.description}`.trim(),
      author: parts.settings.identity,
      date,
    },
    context.signal,
  );
  if (made.kind === 'conflict') return { ...made, target };
  if (made.kind === 'merged') {
    const range = { commit: made.commit, above: [target, change.commit] };
    const commit = await signDelivery(parts, repository, range, context.signal);
    return { kind: 'move', commit, target, checked: false };
  }
  if (made.commit === target) return { kind: 'already_merged', commit: target };
  return { kind: 'move', commit: made.commit, target, checked: true };
}

/** The checks on what the branch would become. Null where they are green. */
async function recheck(
  branch: BranchMove,
  repository: RepositoryHandle,
  plan: { commit: string; target: string },
): Promise<DriveResult | null> {
  const { change, parts, context } = branch;
  const { checks, setupCommands, services } = await readPreparation(parts.database, change.runId);
  const { verdict } = await gatherEvidence({
    computer: parts.computer,
    repository,
    base: plan.target,
    commit: plan.commit,
    checks,
    setupCommands,
    since: 0,
    steps: context.journal.steps,
    runner: new CheckRunner(parts, context, { repository, services }),
    signal: context.signal,
    boundary: () => branch.boundary(),
  });
  if (verdict.verdict === 'red') {
    await keepStart(parts.computer.git, repository, plan.commit, context.signal);
    return giveBack(
      branch,
      `${change.targetBranch} has moved on, and merged with it the checks are red. ${verdict.guidance}`,
      { base: plan.target, start: plan.commit, uncommitted: false },
    );
  }
  if (verdict.verdict === 'passed' || change.receipt.needsHuman) return null;
  return branch.failed(verdict.question);
}

async function giveBackConflict(
  branch: BranchMove,
  repository: RepositoryHandle,
  plan: Extract<Plan, { kind: 'conflict' }>,
): Promise<DriveResult> {
  const { change, parts, context, date } = branch;
  const { git } = parts.computer;
  const start = await commitTree(
    git,
    repository,
    {
      tree: plan.tree,
      parents: [plan.target, change.commit],
      message: `${change.title}, with conflicts`,
      author: parts.settings.identity,
      date,
    },
    context.signal,
  );
  await keepStart(git, repository, start, context.signal);
  return giveBack(
    branch,
    `The change conflicts with what ${change.targetBranch} has become, in ${plan.files.join(', ')}.`,
    { base: plan.target, start, uncommitted: true },
  );
}

/** Back to its agent, with the branch as it is now as the new base; after too many rounds to a person. */
async function giveBack(
  branch: BranchMove,
  reason: string,
  origin: NonNullable<SendBack['origin']>,
): Promise<DriveResult> {
  const { change, parts, context } = branch;
  const { run } = context;
  const { settings, clock } = parts;
  const rounds = await countCollisions(parts.database, change.id);
  const again = rounds < settings.redRounds;
  const outcome = again
    ? `${reason} It went back to its agent, who works on it again.`
    : `${reason} Its agent has had it back ${times(rounds)} for this; send it back with advice, or merge it by hand.`;
  return {
    kind: 'end',
    status: 'failed',
    outcome,
    settle: async (transaction) => {
      await closeUp(transaction, run.runId, outcome);
      const now = clock.now();
      if (!again) {
        await waitForReview(transaction, {
          taskId: run.taskId,
          id: change.id,
          actor: 'control-plane',
          now,
          reason: `its change could not be merged, though its agent had it back ${times(rounds)}: a person says how it goes on`,
        });
        return;
      }
      const { dayLimitMicros } = settings;
      const by = 'control-plane';
      await sendBack(transaction, { changeId: change.id, by, comments: reason, now, dayLimitMicros, origin });
    },
  };
}

const times = (count: number) => (count === 1 ? 'once' : `${count} times`);

function merged({ change, context, parts }: BranchMove, commit: string): DriveResult {
  const { run } = context;
  return {
    kind: 'end',
    status: 'succeeded',
    outcome: `merged into ${change.targetBranch} as ${commit.slice(0, 10)}`,
    settle: (transaction) =>
      recordMerge(transaction, {
        changeId: change.id,
        taskId: run.taskId,
        runId: run.runId,
        commit,
        actor: parts.settings.owner,
      }),
  };
}
