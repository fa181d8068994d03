import { createHash } from 'node:crypto';
import { isHookActorName } from '../../contract/hooks.ts';
import type { GuidanceIntent } from '../../contract/steps.ts';
import { work } from '../agent/loop.ts';
import { findPlaybook } from '../agent/playbook.ts';
import type { LoopPorts } from '../agent/ports.ts';
import { GateClosed } from '../computers/sandbox.ts';
import { findMissingSubmodules } from '../computers/workspaces/submodules.ts';
import type { Workspace } from '../computers/workspaces/workspace.ts';
import { offerChange } from '../domain/changes/changes.ts';
import { mergeUnreviewed } from '../domain/changes/unreviewed.ts';
import { setTaskStatus } from '../domain/tasks/tasks.ts';
import { AppError, LeaseLost } from '../errors.ts';
import { newId } from '../ids.ts';
import type { DriveContext, DriveResult, Driver } from '../runs/worker.ts';
import { actionHash } from '../tools/action-hash.ts';
import { toDefinition } from '../tools/catalogue.ts';
import { parseCall } from '../tools/parse-call.ts';
import type { Tool } from '../tools/tool.ts';
import { type Assignment, readAssignment } from './assignment.ts';
import { planSetup } from './checks.ts';
import { type Evidence, findAcceptance, gatherEvidence } from './evidence.ts';
import { closeGateBehind } from './gate.ts';
import type { RunGuards } from './guards/open-guards.ts';
import { openPace, watchRun } from './guards/watch-run.ts';
import { openJudge } from './judge-call.ts';
import type { DriverParts } from './parts.ts';
import { openWorkspace, type PreparedRun, prepareRun } from './prepare.ts';
import { enterPhase, JournalRecord } from './record.ts';
import { endedResult, isExpectedFailure, pausedResult, Rest } from './rest.ts';
import { briefOnSentBack, objectToRework } from './sent-back.ts';
import { signDelivery } from './signing.ts';
import { openRunWorkspace, openToolContext, resolvePath } from './tool-ports.ts';

/** Drives a task's run: prepares, lets the agent work, gathers the evidence, offers the change. */
export function openTaskDriver(parts: DriverParts): Driver {
  return async (context) => {
    const assignment = await readAssignment(parts.database, context.run.runId);
    try {
      await closeGateBehind(parts.computer, context.run);
      return await new TaskRun(parts, context, assignment).drive();
    } catch (error) {
      if (error instanceof Rest) return error.result;
      if (error instanceof GateClosed) throw new LeaseLost(context.run.runId);
      if (isExpectedFailure(error)) return endedResult(context.run, 'failed', error.message, true);
      throw error;
    }
  };
}

class TaskRun {
  readonly #parts: DriverParts;
  readonly #context: DriveContext;
  readonly #assignment: Assignment;
  readonly #record: JournalRecord;

  constructor(parts: DriverParts, context: DriveContext, assignment: Assignment) {
    this.#parts = parts;
    this.#context = context;
    this.#assignment = assignment;
    this.#record = new JournalRecord(parts, context, assignment);
  }

  async drive(): Promise<DriveResult> {
    this.#boundary();
    await this.#begin();
    const prepared = await prepareRun(this.#parts, this.#context, this.#assignment, () => this.#boundary());
    const { run } = this.#context;
    await using egress = this.#parts.egress.open({ ...run, ...this.#assignment });
    const workspace = await openWorkspace(
      this.#parts,
      this.#context,
      this.#assignment,
      prepared,
      egress.network,
    );
    const { preparation } = prepared;
    const phase = this.#mendPhase();
    await briefOnSentBack(this.#parts, this.#context, this.#assignment, { preparation, phase });
    const guards = await watchRun(this.#parts, this.#context, this.#record, prepared, await egress.isOpen());
    egress.watch = guards;
    const ports = this.#openPorts(prepared, workspace, guards);
    for (;;) {
      await this.#finishOpenCheck(prepared);
      const result = await work(ports);
      switch (result.kind) {
        case 'deliver': {
          const delivered = await this.#deliver(prepared, workspace, result);
          if (delivered !== null) return delivered;
          break;
        }
        case 'wait':
          return { ...result, kind: 'park', status: 'waiting' };
        case 'fail':
          return endedResult(this.#context.run, 'failed', result.reason, true);
        default:
          return this.#atRest(result.kind);
      }
    }
  }

  #atRest(kind: 'pause' | 'stop' | 'release'): DriveResult {
    if (kind === 'pause') return pausedResult(this.#parts);
    if (kind === 'release') return { kind: 'release' };
    return endedResult(this.#context.run, 'stopped', 'stopped by a person', true);
  }

  /** Between two acts: a stop, a pause or a drain takes hold here. */
  #boundary(): void {
    this.#context.signal.throwIfAborted();
    const control = this.#context.control();
    if (control !== 'go') throw new Rest(this.#atRest(control));
    if (this.#context.draining()) throw new Rest(this.#atRest('release'));
  }

  async #begin(): Promise<void> {
    if (this.#record.steps.length > 0) return;
    const { taskId, workerId } = this.#context.run;
    await this.#parts.database.transaction('tasks.begin', (transaction) =>
      setTaskStatus(transaction, {
        taskId,
        status: 'in_progress',
        waiting: null,
        actor: workerId,
        reason: 'a run began',
      }),
    );
  }

  /** A check whose worker died belongs to the delivery, which runs it again; the loop never sees it open. */
  async #finishOpenCheck(prepared: PreparedRun): Promise<void> {
    const open = this.#record.steps.find((step) => step.status === 'intended');
    if (open?.kind !== 'check') return;
    const { where, commit } = open.intent;
    if (where === 'setup') {
      const { setupCommands } = prepared.preparation;
      await prepared.runner.prepareSetup(commit, setupCommands, await this.#setupKey(prepared, commit), 0);
      return;
    }
    const setup = await this.#parts.computer.setups.find(await this.#setupKey(prepared, commit));
    await prepared.runner.check(open.intent, setup, open.seq - 1);
  }

  async #setupKey(prepared: PreparedRun, commit: string): Promise<string> {
    const { repository, setupCommands } = prepared.preparation;
    const plan = await planSetup(
      this.#parts.computer,
      repository,
      commit,
      setupCommands,
      this.#context.signal,
    );
    return plan.key;
  }

  /** Null where the agent, or a person, has the word again. */
  async #deliver(
    prepared: PreparedRun,
    workspace: Workspace,
    delivery: { title: string; description: string },
  ): Promise<DriveResult | null> {
    const { steps } = this.#record;
    const since = steps.findLast((step) => step.kind === 'tool' && step.name === 'finish_phase')?.seq ?? 0;
    const head = await workspace.head(this.#context.signal);
    if (!head.clean)
      return this.#sendBack(
        `There are changes that are not committed:\n${head.status}\nCommit what belongs to the change and remove the rest.`,
      );
    const worked = head.commit ?? workspace.base;
    if (worked !== workspace.base) await workspace.exportCommit(worked, this.#context.signal);
    const commit = await signDelivery(
      this.#parts,
      prepared.preparation.repository,
      { commit: worked, above: [workspace.base] },
      this.#context.signal,
    );
    const missing = await findMissingSubmodules(
      this.#parts.computer.git,
      prepared.preparation.repository,
      commit,
      this.#context.signal,
    );
    if (missing.length > 0) {
      return this.#sendBack(
        `The submodules ${missing.join(', ')} point to commits that are only in this workspace: changes in a submodule cannot be delivered with the project. Put them back (git -C PATH checkout COMMIT, then commit), and say in the description what must change there.`,
      );
    }
    const { origin } = this.#assignment;
    if (origin !== null) {
      const rework = { preparation: prepared.preparation, commit };
      const objection = await objectToRework(this.#parts, origin, rework, this.#context.signal);
      if (objection !== null) return this.#sendBack(objection);
    }
    const evidence = await this.#gather(prepared, commit, since);
    if (await this.#wasTold()) return null;
    const { verdict } = evidence;
    if (verdict.verdict === 'red') return this.#sendBack(verdict.guidance);
    if (verdict.verdict === 'passed') return this.#offer(prepared, delivery, evidence);
    const answer = findAcceptance(steps, since);
    if (answer?.result?.decision === 'approve') {
      const receipt = {
        ...evidence.receipt,
        verdict: 'accepted_by_human' as const,
        acceptedBy: answer.result.by,
      };
      return this.#offer(prepared, delivery, { ...evidence, receipt });
    }
    if (answer !== undefined) {
      const reason = answer.result?.answer ?? '';
      return this.#sendBack(`The change was not accepted as it is. ${reason}\n${verdict.question}`);
    }
    await this.#record.openAsk({
      kind: 'proposal',
      about: 'checks',
      question: verdict.question,
      detail: { commit, receipt: evidence.receipt },
      actionHash: createHash('sha256').update(JSON.stringify(evidence.receipt)).digest('hex'),
    });
    return null;
  }

  /** Whether a person said something while the checks ran: the agent reads it before its change is offered. */
  async #wasTold(): Promise<boolean> {
    const before = this.#record.steps.length;
    await this.#record.readGuidance();
    return this.#record.steps.length > before;
  }

  #gather(prepared: PreparedRun, commit: string, since: number): Promise<Evidence> {
    const { preparation, runner } = prepared;
    return gatherEvidence({
      computer: this.#parts.computer,
      repository: preparation.repository,
      base: preparation.commit,
      commit,
      checks: preparation.checks,
      setupCommands: preparation.setupCommands,
      since,
      steps: this.#record.steps,
      runner,
      signal: this.#context.signal,
      boundary: () => this.#boundary(),
    });
  }

  #offer(
    prepared: PreparedRun,
    delivery: { title: string; description: string },
    evidence: Evidence,
  ): DriveResult {
    const { run } = this.#context;
    const { receipt } = evidence;
    return {
      kind: 'end',
      status: 'succeeded',
      outcome:
        receipt.verdict === 'passed'
          ? 'its change has passed its checks'
          : 'its change was accepted by a person without green checks',
      settle: async (transaction) => {
        const { clock, settings } = this.#parts;
        const id = newId('chg');
        await offerChange(transaction, {
          id,
          taskId: run.taskId,
          runId: run.runId,
          supersedes: this.#assignment.origin?.changeId ?? null,
          title: delivery.title,
          description: delivery.description,
          baseCommit: receipt.base,
          commit: receipt.commit,
          targetBranch: prepared.preparation.branch,
          receipt,
          actor: this.#assignment.agent,
          now: clock.now(),
        });
        const context = { now: () => clock.now(), dayLimitMicros: settings.dayLimitMicros };
        await mergeUnreviewed(transaction, context, { id, taskId: run.taskId, receipt });
      },
    };
  }

  /** The delivery goes back to the agent with the reason; after too many rounds a person is asked first. */
  async #sendBack(guidance: string): Promise<null> {
    const { journal, run } = this.#context;
    const { steps } = this.#record;
    const asked = steps.findLast((step) => step.kind === 'ask' && step.intent.about === 'loop')?.seq ?? 0;
    // What a change was sent back with is where the run began, no round of it.
    const began =
      this.#assignment.origin === null ? undefined : steps.find(({ kind }) => kind === 'guidance');
    const rounds = steps.filter(
      (step) =>
        step.kind === 'guidance' && step.seq > asked && step.intent.phase !== undefined && step !== began,
    ).length;
    if (rounds >= this.#parts.settings.redRounds) {
      const question = `The change came back ${rounds + 1} times. The last reason: ${guidance.slice(0, 2_000)}\nApprove to let the agent go on, deny to end the run.`;
      await this.#record.openAsk({
        kind: 'proposal',
        about: 'loop',
        question,
        detail: {},
        actionHash: hash(question),
      });
      return null;
    }
    const phase = this.#mendPhase();
    const intent: GuidanceIntent = { text: guidance, from: 'control-plane', phase };
    await journal.record(
      { kind: 'guidance', name: 'control-plane', intent },
      { status: 'done' },
      (transaction) => enterPhase(transaction, run, phase),
    );
    return null;
  }

  #mendPhase(): string {
    return findPlaybook(this.#assignment.playbook)?.mendPhase ?? 'implement';
  }

  #openPorts(prepared: PreparedRun, workspace: Workspace, guards: RunGuards): LoopPorts {
    const { signal, run, control, draining } = this.#context;
    const { agent, model, fallbackModels, prompt, title, instructions, createdBy } = this.#assignment;
    const { playbook: playbookName } = this.#assignment;
    const { branch, checks, setupCommands, repositoryTexts, services } = prepared.preparation;
    const playbook = findPlaybook(playbookName);
    if (playbook === undefined) throw new AppError('unprocessable', `there is no playbook ${playbookName}`);
    const briefing = {
      agentPrompt: prompt,
      title,
      titleFromOutside: isHookActorName(createdBy),
      instructions,
      branch,
      checks,
      setup: setupCommands,
      repositoryTexts,
      services,
      attachments: prepared.attachments.files,
      images: prepared.attachments.images,
      playbook,
    };
    return {
      model,
      fallbackModels,
      pace: openPace(this.#parts, run.runId, this.#record, guards),
      briefing,
      record: this.#record,
      models: this.#parts.models,
      tools: this.#parts.tools.map((tool) => withCrashPoints(tool, this.#parts)),
      workspace: openRunWorkspace(workspace, signal),
      judge: openJudge(
        {
          database: this.#parts.database,
          resolvePath: (path) => resolvePath(workspace, path, signal),
          guards: guards.guards,
        },
        this.#assignment,
      ),
      hashAction: (action) => actionHash({ ...action, cwd: '/workspace', env: workspace.environment }),
      toolContext: (step) =>
        openToolContext(this.#parts, run, workspace, { agent, intendedAt: new Date(step.startedAt), signal }),
      parseCall,
      defineTool: toDefinition,
      hash,
      live: {
        write: (seq, text) => this.#parts.live.write({ runId: run.runId, seq, text }),
        flush: () => this.#parts.live.flush(),
      },
      signal,
      control,
      draining,
      now: () => this.#parts.clock.now(),
    };
  }
}

function withCrashPoints(tool: Tool, parts: DriverParts): Tool {
  return {
    ...tool,
    run: async (input, context) => {
      parts.crashPoints.reach(`tool:${tool.name}:before`);
      const outcome = await tool.run(input, context);
      parts.crashPoints.reach(`tool:${tool.name}:after`);
      return outcome;
    },
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
