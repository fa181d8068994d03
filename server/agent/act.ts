import type { ToolIntent, ToolStep } from '../../contract/steps.ts';
import type { Tool } from '../tools/tool.ts';
import type { LoopPorts, PolicyVerdict } from './ports.ts';
import type { PendingCall, RunState } from './state.ts';

/** One tool call: parsed, judged by the policy, its intent committed, run, its result committed. */
export async function act(ports: LoopPorts, state: RunState, pending: PendingCall): Promise<null> {
  const { call, modelSeq } = pending;
  const offered = offeredTools(ports, state);
  const parsed = ports.parseCall(offered, call.name, call.argumentsText);
  const intent: ToolIntent = {
    callId: call.id,
    modelSeq,
    name: call.name,
    input: parsed.ok ? parsed.input : call.argumentsText,
    effect: parsed.ok ? parsed.tool.effect : 'read',
  };
  if (!parsed.ok) {
    await ports.record.refuseTool(intent, { class: parsed.errorClass, message: parsed.message });
    return null;
  }
  const permitted = await permit(ports, state, parsed.tool, intent);
  if (permitted === null) return null;
  const step = await intend(ports, parsed.tool, permitted);
  if (step !== null) await runTool(ports, parsed.tool, step);
  return null;
}

/** A tool step whose worker died in its middle. */
export async function recoverTool(ports: LoopPorts, step: ToolStep): Promise<void> {
  const tool = ports.tools.find((candidate) => candidate.name === step.intent.name);
  if (tool === undefined || tool.effect === 'external') {
    // Whether the effect happened is not known here: a person says whether it is done again.
    await ports.record.completeTool(step.seq, { status: 'in_doubt' });
    return;
  }
  if (tool.effect === 'workspace' && step.snapshot !== null) await ports.workspace.restore(step.snapshot);
  await runTool(ports, tool, step);
}

function offeredTools(ports: LoopPorts, state: RunState): Tool[] {
  const phase = ports.briefing.playbook.phases.find((candidate) => candidate.name === state.phase);
  return ports.tools.filter((tool) => phase?.tools.includes(tool.name));
}

/**
 * The call as it may start now: the model's, or with the arguments that a person put in their place. Null where
 * its refusal or its ask is in the journal instead.
 */
async function permit(
  ports: LoopPorts,
  state: RunState,
  tool: Tool,
  wanted: ToolIntent,
): Promise<ToolIntent | null> {
  const doubted = ports.record.steps.findLast(
    (step): step is ToolStep =>
      step.kind === 'tool' && step.status === 'in_doubt' && step.intent.callId === wanted.callId,
  );
  // What may have taken effect with a person's arguments is asked about with those.
  const intent = { ...(doubted?.intent.editedBy === undefined ? wanted : doubted.intent) };
  const verdict = await judgeCall(ports, tool, intent.input);
  if (verdict.version !== undefined) intent.policyVersion = verdict.version;
  if (verdict.decision === 'deny') return refuse(ports, intent, `Denied by policy: ${verdict.reason}`);
  const answered = state.approvals.get(intent.callId);
  // A provider may give another turn's call the same identifier: an answer is for the call that asked.
  const approval = answered?.ask.intent.modelSeq === intent.modelSeq ? answered : undefined;
  // What a person has answered holds, also where nobody would have to be asked by now.
  if (verdict.decision === 'allow' && doubted === undefined && approval === undefined) return intent;
  const tree = await ports.workspace.snapshot();
  // An approval is for one start: what may have taken effect since is asked about anew.
  if (approval === undefined || approval.ask.seq < (doubted?.seq ?? 0)) {
    const question = doubted
      ? `The worker died while ${tool.name} ran; it may have taken effect. Run it again?`
      : `May the agent call ${tool.name}? ${verdict.reason}`;
    return askForApproval(ports, tool, intent, { question, tree, leaves: verdict.leaves });
  }
  const { decision, answer, by, input } = approval.result;
  if (decision !== 'approve') {
    const reason = answer === '' ? '' : ` ${answer}`;
    return refuse(ports, intent, `Denied by ${by}.${reason}`);
  }
  if (approval.ask.intent.tree !== tree) {
    const message = 'The workspace is no longer the one that was approved; the approval does not hold.';
    return refuse(ports, intent, message);
  }
  const hash = ports.hashAction({ tool: tool.name, input: intent.input, tree });
  if (approval.ask.intent.actionHash !== undefined && approval.ask.intent.actionHash !== hash) {
    const message = 'What would run is no longer what was approved, in its arguments, folder or environment.';
    return refuse(ports, intent, message);
  }
  return input === undefined ? intent : permitEdited(ports, tool, intent, { input, by, tree });
}

/** Arguments of a person's are held against the tool's schema and the policy as the model's are. */
async function permitEdited(
  ports: LoopPorts,
  tool: Tool,
  intent: ToolIntent,
  edit: { input: Record<string, unknown>; by: string; tree: string },
): Promise<ToolIntent | null> {
  const { input, by, tree } = edit;
  const parsed = ports.parseCall([tool], tool.name, JSON.stringify(input));
  if (!parsed.ok) {
    const question = `The changed arguments cannot be used: ${parsed.message}\nMay the agent call ${tool.name} with its own?`;
    return askForApproval(ports, tool, intent, { question, tree });
  }
  const edited: ToolIntent = { ...intent, input: parsed.input, editedBy: by };
  const verdict = await judgeCall(ports, tool, parsed.input);
  return verdict.decision === 'deny' ? refuse(ports, edited, `Denied by policy: ${verdict.reason}`) : edited;
}

async function askForApproval(
  ports: LoopPorts,
  tool: Tool,
  intent: ToolIntent,
  { question, tree, leaves }: { question: string; tree: string; leaves?: string[] | undefined },
): Promise<null> {
  const { callId, modelSeq, input } = intent;
  const subject = tool.subject(input);
  await ports.record.openAsk({
    kind: 'approval',
    about: 'tool',
    question,
    callId,
    modelSeq,
    tree,
    ...(leaves === undefined ? {} : { leaves }),
    detail: { tool: tool.name, input, subject, folder: '/workspace', tree },
    actionHash: ports.hashAction({ tool: tool.name, input, tree }),
  });
  return null;
}

function judgeCall(ports: LoopPorts, tool: Tool, input: unknown): Promise<PolicyVerdict> {
  return ports.judge({ tool: tool.name, input, subject: tool.subject(input), effect: tool.effect });
}

async function refuse(ports: LoopPorts, intent: ToolIntent, message: string): Promise<null> {
  await ports.record.refuseTool(intent, { class: 'denied', message });
  return null;
}

/** Commits the intent of a call that will run. Null where the call is an act on the run, done by this commit. */
async function intend(ports: LoopPorts, tool: Tool, intent: ToolIntent): Promise<ToolStep | null> {
  const { callId, modelSeq } = intent;
  if (tool.name === 'ask_human' || tool.name === 'note') {
    const outcome = await tool.run(
      intent.input,
      ports.toolContext({ startedAt: new Date(ports.now()).toISOString() }),
    );
    if (outcome.kind === 'note') await ports.record.note({ text: outcome.text, callId, modelSeq });
    if (outcome.kind === 'ask') {
      await ports.record.openAsk({
        kind: 'clarification',
        about: 'question',
        question: outcome.question,
        callId,
        modelSeq,
        detail: { options: outcome.options },
        actionHash: ports.hash(outcome.question),
      });
    }
    return null;
  }
  const snapshot = tool.effect === 'read' ? null : await ports.workspace.snapshot();
  const step = await ports.record.intendTool(intent, snapshot);
  return step.kind === 'tool' ? step : null;
}

async function runTool(ports: LoopPorts, tool: Tool, step: ToolStep): Promise<void> {
  ports.signal.throwIfAborted();
  if (tool.effect !== 'read') ports.workspace.touched();
  const outcome = await tool.run(step.intent.input, ports.toolContext(step));
  if (outcome.kind === 'finish_phase') {
    const output = `Phase finished: ${outcome.summary}`;
    await ports.record.completeTool(step.seq, { status: 'done', result: { ok: true, output } });
    return;
  }
  if (outcome.kind !== 'result')
    throw new Error(`${tool.name} asked for ${outcome.kind} where a result was due`);
  await ports.record.completeTool(step.seq, {
    status: outcome.result.ok ? 'done' : 'failed',
    result: outcome.result,
    ...(outcome.result.ok
      ? {}
      : { error: { class: 'tool_failed' as const, message: outcome.result.output } }),
  });
}
