import type { ChangeView } from '../../contract/changes.ts';
import type { PhaseStep, ToolStep } from '../../contract/steps.ts';
import { GateClosed } from '../computers/sandbox.ts';
import { deliver, publishBranch, readTarget } from '../computers/workspaces/delivery.ts';
import type { Fetched, RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { isHeldBy } from '../computers/workspaces/rework.ts';
import { getChange } from '../domain/changes/changes.ts';
import { LeaseLost } from '../errors.ts';
import { findRunBefore } from '../runs/turns.ts';
import type { DriveContext, DriveResult, Driver } from '../runs/worker.ts';
import { type Assignment, readAssignment } from './assignment.ts';
import { closeGateBehind } from './gate.ts';
import type { DriverParts } from './parts.ts';
import { endedResult, isExpectedFailure, pausedResult, Rest } from './rest.ts';

const attempts = 5;
const reminderMs = 600_000;

/** Moves a change's branch once; null where the branch moved meanwhile and it is tried again. */
export type TryOnce = (branch: BranchMove) => Promise<DriveResult | null>;

/**
 * The driver of a run that moves a change's branch: one after the other on each branch, by compare-and-swap,
 * tried again where somebody else moved it.
 */
export function openBranchDriver(parts: DriverParts, kind: 'merge' | 'revert', tryOnce: TryOnce): Driver {
  return async (context) => {
    const { run } = context;
    const assignment = await readAssignment(parts.database, run.runId);
    try {
      await closeGateBehind(parts.computer, run);
      if (assignment.changeId === null) throw new Error(`${kind} run ${run.runId} names no change`);
      const change = await getChange(parts.database, assignment.changeId);
      const branch = new BranchMove(parts, context, assignment, { kind, change });
      branch.boundary();
      await branch.awaitTurn();
      await branch.begin();
      for (let attempt = 0; attempt < attempts; attempt++) {
        branch.boundary();
        const result = await tryOnce(branch);
        if (result !== null) return result;
      }
      return branch.failed(
        `${change.targetBranch} moved ${attempts} times while the change was ${kind === 'merge' ? 'merged' : 'reverted'}; try again`,
      );
    } catch (error) {
      if (error instanceof Rest) return error.result;
      if (error instanceof GateClosed) throw new LeaseLost(run.runId);
      if (isExpectedFailure(error)) return endedResult(run, 'failed', error.message, false);
      throw error;
    }
  };
}

/** A run on its way to move one branch. */
export class BranchMove {
  readonly parts: DriverParts;
  readonly context: DriveContext;
  readonly change: ChangeView;
  /** Of the run's beginning: commits made on the way carry it, so that a repeat gives the same ids. */
  date = new Date(0);
  readonly #assignment: Assignment;
  readonly #kind: 'merge' | 'revert';

  constructor(
    parts: DriverParts,
    context: DriveContext,
    assignment: Assignment,
    move: { kind: 'merge' | 'revert'; change: ChangeView },
  ) {
    this.parts = parts;
    this.context = context;
    this.change = move.change;
    this.#assignment = assignment;
    this.#kind = move.kind;
  }

  boundary(): void {
    const { signal, control, draining, run } = this.context;
    signal.throwIfAborted();
    if (control() === 'pause') throw new Rest(pausedResult(this.parts));
    if (control() === 'stop') throw new Rest(endedResult(run, 'stopped', 'stopped by a person', false));
    if (draining()) throw new Rest({ kind: 'release' });
  }

  /**
   * Nothing is written between the look and the park, so that the end of the run before is not missed.
   * @throws Rest where another run has to move the branch first
   */
  async awaitTurn(): Promise<void> {
    const { database, clock, settings } = this.parts;
    const before = await findRunBefore(database, this.context.run.runId);
    if (before === undefined) return;
    throw new Rest({
      kind: 'park',
      status: 'waiting',
      wakeAt: null,
      waiting: {
        on: 'blocker',
        ref: before.id,
        reason: `${before.id} moves ${this.change.targetBranch} before it${before.status === 'paused' ? ', and is paused' : ''}`,
        owner: before.status === 'paused' ? settings.owner : 'workers',
        deadline: new Date(clock.now() + reminderMs).toISOString(),
        atDeadline: 'remind',
      },
    });
  }

  async begin(): Promise<void> {
    const { journal } = this.context;
    const phase = this.#kind;
    const known = journal.steps.find(
      (step): step is PhaseStep => step.kind === 'phase' && step.name === phase,
    );
    const step = known ?? (await journal.record({ kind: 'phase', name: phase, intent: { phase } }));
    this.date = new Date(step.startedAt);
    // A check that was cut off may be of a branch that has moved since: what is needed now runs anew.
    const cut = journal.steps.find(({ kind, status }) => kind === 'check' && status === 'intended');
    if (cut !== undefined) await journal.complete(cut.seq, { status: 'in_doubt' });
  }

  /** The branch as it is now, in the control plane's copy. */
  fetch(): Promise<Fetched> {
    const { location } = this.#assignment;
    return this.parts.computer.repositories.fetch(
      { location, branch: this.change.targetBranch },
      this.context.signal,
    );
  }

  /** Commits that this run has set out to move the branch to, the newest first. */
  intended(): string[] {
    return this.context.journal.steps
      .filter((step): step is ToolStep => step.kind === 'tool')
      .map((step) => step.intent.callId)
      .reverse();
  }

  /**
   * The last act. A branch that somebody works on is not moved under their feet: `besides` is made instead, and
   * the run ends with what is to be done.
   */
  async move(
    repository: RepositoryHandle,
    plan: { commit: string; target: string },
    besides: `mission/${string}`,
  ): Promise<{ kind: 'moved' } | { kind: 'moved_meanwhile' } | { kind: 'ended'; result: DriveResult }> {
    const { signal, journal, run } = this.context;
    const { computer } = this.parts;
    const { location } = this.#assignment;
    const branch = this.change.targetBranch;
    const state = await readTarget(computer.git, location, branch, signal);
    if (state.checkedOutAt !== null)
      return this.#handOver(repository, plan.commit, { path: state.checkedOutAt, besides });
    const step = await this.#intend(plan);
    const gate = { folder: computer.gateFolder(run.runId), token: String(run.token) };
    const moved = await deliver(
      computer.git,
      repository,
      { location, branch, commit: plan.commit, expected: plan.target, gate },
      signal,
    );
    await journal.complete(step.seq, {
      status: moved.kind === 'moved' ? 'done' : 'failed',
      result: { ok: moved.kind === 'moved', output: moved.kind },
    });
    if (moved.kind === 'branch_checked_out')
      return this.#handOver(repository, plan.commit, { path: moved.path, besides });
    return { kind: moved.kind };
  }

  /** A move whose worker died right after it is found done by the branch itself. */
  async settleIntent(repository: RepositoryHandle, target: string): Promise<void> {
    const open = this.#openIntent();
    if (open === undefined) return;
    const { computer } = this.parts;
    const move = { tip: target, commit: open.intent.callId };
    if (await isHeldBy(computer.git, repository, move, this.context.signal))
      await this.context.journal.complete(open.seq, {
        status: 'done',
        result: { ok: true, output: 'moved' },
      });
  }

  failed(outcome: string): DriveResult {
    return endedResult(this.context.run, 'failed', outcome, false);
  }

  /** The intent of moving the branch; one left open by a crash is taken up: the move itself is repeatable. */
  async #intend(plan: { commit: string; target: string }): Promise<ToolStep> {
    const { journal } = this.context;
    const open = this.#openIntent();
    if (open?.intent.callId === plan.commit) return open;
    // The branch has moved on since: what was set out for then did not happen.
    if (open !== undefined)
      await journal.complete(open.seq, {
        status: 'failed',
        result: { ok: false, output: 'moved_meanwhile' },
      });
    const name = `${this.#kind}_branch`;
    const input = { location: this.#assignment.location, branch: this.change.targetBranch, ...plan };
    const step = await journal.intend({
      kind: 'tool',
      name,
      intent: { callId: plan.commit, modelSeq: journal.steps.length, name, input, effect: 'external' },
    });
    if (step.kind !== 'tool') throw new Error(`the intent of a ${this.#kind} is a tool step`);
    return step;
  }

  #openIntent(): ToolStep | undefined {
    return this.context.journal.steps.find(
      (step): step is ToolStep => step.kind === 'tool' && step.status === 'intended',
    );
  }

  async #handOver(
    repository: RepositoryHandle,
    commit: string,
    place: { path: string; besides: `mission/${string}` },
  ): Promise<{ kind: 'ended'; result: DriveResult }> {
    const { location } = this.#assignment;
    const { path, besides: branch } = place;
    await publishBranch(
      this.parts.computer.git,
      repository,
      { location, branch, commit },
      this.context.signal,
    );
    const what = this.#kind === 'merge' ? 'The change' : 'Its revert';
    const outcome = `${this.change.targetBranch} is checked out in ${path}, so it was not moved. ${what} is there as the branch ${branch}. Run: git -C ${path} merge --ff-only ${branch}  and then ${this.#kind} again, to record it.`;
    return { kind: 'ended', result: this.failed(outcome) };
  }
}
