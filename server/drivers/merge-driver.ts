import type { ChangeView } from '../../contract/changes.ts';
import type { PhaseStep, ToolStep } from '../../contract/steps.ts';
import { GateClosed } from '../computers/sandbox.ts';
import { deliver, publishBranch, readTarget } from '../computers/workspaces/delivery.ts';
import { merge } from '../computers/workspaces/merge.ts';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { getChange, recordMerge } from '../domain/changes/changes.ts';
import { AppError, LeaseLost } from '../errors.ts';
import type { DriveContext, DriveResult, Driver } from '../runs/worker.ts';
import { type Assignment, readAssignment } from './assignment.ts';
import { CheckRunner } from './checks.ts';
import { gatherEvidence } from './evidence.ts';
import { closeGateBehind } from './gate.ts';
import type { DriverParts } from './parts.ts';
import { readPreparation } from './prepare.ts';
import { endedResult, isExpectedFailure, pausedResult, Rest } from './rest.ts';

const attempts = 5;

/** What will become of the target branch: the commit to move it to, and whether that has its evidence. */
type Plan =
  | { kind: 'already_merged'; commit: string }
  | { kind: 'move'; commit: string; target: string; checked: boolean };

/**
 * Merges a change: onto the base that was checked at once, else the merge is made and checked first. The
 * branch moves by compare-and-swap; whether it has moved before a crash is read from the branch itself.
 */
export function openMergeDriver(parts: DriverParts): Driver {
  return async (context) => {
    const assignment = await readAssignment(parts.database, context.run.runId);
    try {
      await closeGateBehind(parts.computer, context.run);
      return await new MergeRun(parts, context, assignment).drive();
    } catch (error) {
      if (error instanceof Rest) return error.result;
      if (error instanceof GateClosed) throw new LeaseLost(context.run.runId);
      if (isExpectedFailure(error)) return endedResult(context.run, 'failed', error.message, false);
      throw error;
    }
  };
}

class MergeRun {
  readonly #parts: DriverParts;
  readonly #context: DriveContext;
  readonly #assignment: Assignment;

  constructor(parts: DriverParts, context: DriveContext, assignment: Assignment) {
    this.#parts = parts;
    this.#context = context;
    this.#assignment = assignment;
  }

  async drive(): Promise<DriveResult> {
    this.#boundary();
    const { changeId } = this.#assignment;
    if (changeId === null) throw new Error(`merge run ${this.#assignment.runId} names no change`);
    const change = await getChange(this.#parts.database, changeId);
    const date = await this.#begin();
    for (let attempt = 0; attempt < attempts; attempt++) {
      this.#boundary();
      const result = await this.#tryOnce(change, date);
      if (result !== null) return result;
    }
    return this.#failed(
      `${change.targetBranch} moved ${attempts} times while the change was merged; try again`,
    );
  }

  /** Null where the branch moved meanwhile. */
  async #tryOnce(change: ChangeView, date: Date): Promise<DriveResult | null> {
    const { signal } = this.#context;
    const { computer } = this.#parts;
    const { location } = this.#assignment;
    const branch = change.targetBranch;
    const { repository, commit: target } = await computer.repositories.fetch({ location, branch }, signal);
    const plan = await this.#plan(change, repository, target, date);
    if (plan.kind === 'already_merged') return this.#merged(change, plan.commit);
    if (!plan.checked) {
      const objection = await this.#recheck(change, repository, plan);
      if (objection !== null) return this.#failed(objection);
    }
    const state = await readTarget(computer.git, location, branch, signal);
    if (state.checkedOutAt !== null)
      return this.#handOver(change, repository, plan.commit, state.checkedOutAt);
    const step = await this.#intend(change, plan);
    const moved = await deliver(
      computer.git,
      repository,
      {
        location,
        branch,
        commit: plan.commit,
        expected: plan.target,
        gate: {
          folder: computer.gateFolder(this.#context.run.runId),
          token: String(this.#context.run.token),
        },
      },
      signal,
    );
    await this.#context.journal.complete(step.seq, {
      status: moved.kind === 'moved' ? 'done' : 'failed',
      result: { ok: moved.kind === 'moved', output: moved.kind },
    });
    if (moved.kind === 'moved') return this.#merged(change, plan.commit);
    if (moved.kind === 'branch_checked_out')
      return this.#handOver(change, repository, plan.commit, moved.path);
    return null;
  }

  async #plan(change: ChangeView, repository: RepositoryHandle, target: string, date: Date): Promise<Plan> {
    if (target === change.baseCommit) return { kind: 'move', commit: change.commit, target, checked: true };
    const merged = await merge(
      this.#parts.computer.git,
      repository,
      {
        target,
        change: change.commit,
        message: `Merge ${change.title}\n\n${change.description}`.trim(),
        author: this.#parts.settings.identity,
        date,
      },
      this.#context.signal,
    );
    if (merged.kind === 'conflict') {
      throw new AppError(
        'conflict',
        `the change conflicts with ${change.targetBranch} in ${merged.files.join(', ')}; send it back, or resolve it by hand`,
      );
    }
    if (merged.kind === 'fast_forward') {
      if (merged.commit === target) return { kind: 'already_merged', commit: target };
      return { kind: 'move', commit: merged.commit, target, checked: true };
    }
    return { kind: 'move', commit: merged.commit, target, checked: false };
  }

  /** The checks on what the branch would become. Null where they are green. */
  async #recheck(
    change: ChangeView,
    repository: RepositoryHandle,
    plan: { commit: string; target: string },
  ): Promise<string | null> {
    const { checks, setupCommands } = await readPreparation(this.#parts.database, change.runId);
    const { journal, signal } = this.#context;
    const evidence = await gatherEvidence({
      computer: this.#parts.computer,
      repository,
      base: plan.target,
      commit: plan.commit,
      checks,
      setupCommands,
      since: 0,
      steps: journal.steps,
      runner: new CheckRunner(this.#parts, this.#context, repository),
      signal,
      boundary: () => this.#boundary(),
    });
    if (evidence.verdict.verdict === 'red') {
      return `${change.targetBranch} has moved on, and merged with it the checks are red: ${evidence.verdict.guidance}`;
    }
    const accepted = change.receipt.needsHuman;
    return evidence.verdict.verdict === 'passed' || accepted ? null : evidence.verdict.question;
  }

  async #begin(): Promise<Date> {
    const { journal } = this.#context;
    const known = journal.steps.find(
      (step): step is PhaseStep => step.kind === 'phase' && step.name === 'merge',
    );
    const step =
      known ?? (await journal.record({ kind: 'phase', name: 'merge', intent: { phase: 'merge' } }));
    return new Date(step.startedAt);
  }

  /** The intent of moving the branch; one left open by a crash is taken up: the move itself is repeatable. */
  async #intend(change: ChangeView, plan: { commit: string; target: string }): Promise<ToolStep> {
    const { journal } = this.#context;
    const open = journal.steps.find(
      (step): step is ToolStep => step.kind === 'tool' && step.status === 'intended',
    );
    if (open !== undefined) return open;
    const input = { location: this.#assignment.location, branch: change.targetBranch, ...plan };
    const step = await journal.intend({
      kind: 'tool',
      name: 'merge_branch',
      intent: {
        callId: plan.commit,
        modelSeq: journal.steps.length,
        name: 'merge_branch',
        input,
        effect: 'external',
      },
    });
    if (step.kind !== 'tool') throw new Error('the intent of a merge is a tool step');
    return step;
  }

  /** A branch that somebody works on is not moved under their feet: the change is shown beside it. */
  async #handOver(
    change: ChangeView,
    repository: RepositoryHandle,
    commit: string,
    path: string,
  ): Promise<DriveResult> {
    const { location } = this.#assignment;
    const branch = `mission/${change.id}` as const;
    await publishBranch(
      this.#parts.computer.git,
      repository,
      { location, branch, commit },
      this.#context.signal,
    );
    return this.#failed(
      `${change.targetBranch} is checked out in ${path}, so it was not moved. The change is there as the branch ${branch}. Run: git -C ${path} merge --ff-only ${branch}  and then merge again, to record it.`,
    );
  }

  #merged(change: ChangeView, commit: string): DriveResult {
    const { run } = this.#context;
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
          actor: this.#parts.settings.owner,
        }),
    };
  }

  #failed(outcome: string): DriveResult {
    return endedResult(this.#context.run, 'failed', outcome, false);
  }

  #boundary(): void {
    this.#context.signal.throwIfAborted();
    const control = this.#context.control();
    if (control === 'pause') throw new Rest(pausedResult(this.#parts));
    if (control === 'stop')
      throw new Rest(endedResult(this.#context.run, 'stopped', 'stopped by a person', false));
    if (this.#context.draining()) throw new Rest({ kind: 'release' });
  }
}
