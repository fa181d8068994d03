import { createHash } from 'node:crypto';
import type { AskStep, ToolStep } from '../../contract/steps.ts';
import { GateClosed } from '../computers/sandbox.ts';
import { findPushTarget, type PushTarget } from '../computers/workspaces/forges.ts';
import { pushBranch, readRemoteBranch } from '../computers/workspaces/push.ts';
import { resolveSource } from '../computers/workspaces/source-location.ts';
import { readOrigin } from '../computers/workspaces/submodules.ts';
import { getChange } from '../domain/changes/changes.ts';
import { recordPush } from '../domain/changes/pushing.ts';
import { LeaseLost } from '../errors.ts';
import type { DriveContext, DriveResult, Driver } from '../runs/worker.ts';
import { type Assignment, readAssignment } from './assignment.ts';
import { closeGateBehind } from './gate.ts';
import type { DriverParts } from './parts.ts';
import { readPreparation } from './prepare.ts';
import { JournalRecord } from './record.ts';
import { endedResult, isExpectedFailure, pausedResult, Rest } from './rest.ts';

/** Exactly what a person approves. */
interface Push {
  url: string;
  branch: `mission/${string}`;
  commit: string;
  /** What the branch has on the forge now; null where it is not there. */
  replaces: string | null;
}

const toolName = 'push_branch';

/**
 * Pushes a change to its forge: asks first, for the exact address, branch and commit, and looks at the forge
 * before each push, so that one whose worker died right after it is found done.
 */
export function openPushDriver(parts: DriverParts): Driver {
  return async (context) => {
    const { run } = context;
    const assignment = await readAssignment(parts.database, run.runId);
    try {
      await closeGateBehind(parts.computer, run);
      return await drive(parts, context, assignment);
    } catch (error) {
      if (error instanceof Rest) return error.result;
      if (error instanceof GateClosed) throw new LeaseLost(run.runId);
      if (isExpectedFailure(error)) return endedResult(run, 'failed', error.message, false);
      throw error;
    }
  };
}

async function drive(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
): Promise<DriveResult> {
  const { run, signal, journal } = context;
  heedControl(parts, context);
  if (assignment.changeId === null) throw new Error(`push run ${run.runId} names no change`);
  const change = await getChange(parts.database, assignment.changeId);
  const target = await findTarget(parts, assignment.location, signal);
  const branch = `mission/${change.id}` as const;
  const found = await readRemoteBranch(parts.computer.git, target, branch, signal);
  const settled = { run, parts, changeId: change.id, url: target.url, branch, commit: change.commit };
  const open = journal.steps.find(
    (step): step is ToolStep => step.kind === 'tool' && step.status === 'intended',
  );
  if (found === change.commit) {
    if (open !== undefined)
      await journal.complete(open.seq, { status: 'done', result: { ok: true, output: 'pushed' } });
    return pushed(settled);
  }
  const push: Push = { url: target.url, branch, commit: change.commit, replaces: found };
  const approval = await findApproval(parts, context, assignment, push);
  if (approval.kind === 'rest') return approval.result;
  heedControl(parts, context);
  const step =
    open ??
    (await journal.intend({
      kind: 'tool',
      name: toolName,
      intent: { callId: change.commit, modelSeq: 0, name: toolName, input: { ...push }, effect: 'external' },
    }));
  const { repository } = await readPreparation(parts.database, change.runId);
  const gate = { folder: parts.computer.gateFolder(run.runId), token: String(run.token) };
  const request = { target, branch, commit: change.commit, expected: found, gate };
  const done = await pushBranch(parts.computer.git, repository, request, signal);
  await journal.complete(step.seq, {
    status: done ? 'done' : 'failed',
    result: { ok: done, output: done ? 'pushed' : 'moved_meanwhile' },
  });
  if (done) return pushed(settled);
  return endedResult(
    run,
    'failed',
    `${branch} of ${target.url} was moved by somebody else; look there, and push again`,
    false,
  );
}

/** The address itself, or for a repository on this machine the one that it was cloned from. */
async function findTarget(parts: DriverParts, location: string, signal: AbortSignal): Promise<PushTarget> {
  const source = await resolveSource(location);
  const remote =
    source.kind === 'url' ? source.location : await readOrigin(parts.computer.git, source, signal);
  return findPushTarget(remote ?? location, parts.settings.forges);
}

/** Whether a person has approved this very push; asks where nobody was asked, or something else than was approved is to be done now. */
async function findApproval(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
  push: Push,
): Promise<{ kind: 'approved' } | { kind: 'rest'; result: DriveResult }> {
  const record = new JournalRecord(parts, context, assignment);
  const actionHash = createHash('sha256').update(JSON.stringify(push)).digest('hex');
  const findStep = () => record.steps.findLast((step): step is AskStep => step.kind === 'ask');
  let step = findStep();
  const known = step === undefined ? undefined : await record.readAsk(step.intent.askId);
  if (
    known === undefined ||
    (known.status !== 'open' && known.decision === 'approve' && known.actionHash !== actionHash)
  ) {
    const moved = push.replaces === null ? '' : ` It replaces ${push.replaces} there.`;
    const question = `Push ${push.commit} to ${push.url} as the branch ${push.branch}?${moved}`;
    await record.openAsk({ kind: 'approval', about: 'push', question, detail: { ...push }, actionHash });
    step = findStep();
  }
  if (step === undefined) throw new Error('an ask that was opened has no step');
  const ask = await record.readAsk(step.intent.askId);
  if (ask === undefined) throw new Error(`ask ${step.intent.askId} is gone`);
  if (ask.status === 'open') {
    const { id: ref, question: reason, owner, deadline } = ask;
    const waiting = { on: 'ask' as const, ref, reason, owner, deadline, atDeadline: 'deny' as const };
    return { kind: 'rest', result: { kind: 'park', status: 'waiting', wakeAt: null, waiting } };
  }
  const by = ask.decidedBy ?? 'nobody';
  const decision = ask.status === 'decided' ? (ask.decision ?? 'deny') : ask.status;
  if (step.status === 'intended') await record.closeAsk(step.seq, { decision, answer: ask.answer ?? '', by });
  if (decision === 'approve') return { kind: 'approved' };
  const reason =
    ask.status === 'decided'
      ? `${by} denied it${ask.answer ? `: ${ask.answer}` : ''}`
      : 'nobody approved it in time';
  return { kind: 'rest', result: endedResult(context.run, 'failed', `not pushed: ${reason}`, false) };
}

function heedControl(parts: DriverParts, context: DriveContext): void {
  context.signal.throwIfAborted();
  if (context.control() === 'pause') throw new Rest(pausedResult(parts));
  if (context.control() === 'stop')
    throw new Rest(endedResult(context.run, 'stopped', 'stopped by a person', false));
  if (context.draining()) throw new Rest({ kind: 'release' });
}

function pushed(done: {
  run: { runId: string; taskId: string };
  parts: DriverParts;
  changeId: string;
  url: string;
  branch: string;
  commit: string;
}): DriveResult {
  const { run, parts, changeId, url, branch, commit } = done;
  const { runId, taskId } = run;
  return {
    kind: 'end',
    status: 'succeeded',
    outcome: `pushed ${commit.slice(0, 10)} to ${url} as ${branch}`,
    settle: (transaction) =>
      recordPush(transaction, { changeId, taskId, runId, actor: parts.settings.owner, url, branch, commit }),
  };
}
