import type { ToolIntent, ToolStep } from '../../contract/steps.ts';
import type { Tool } from '../tools/tool.ts';
import type { LoopPorts } from './ports.ts';
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
  if (!(await permit(ports, state, parsed.tool, intent))) return null;
  const step = await intend(ports, parsed.tool, intent);
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

/** Whether the call may start now. If not, its refusal or its ask is in the journal. */
async function permit(ports: LoopPorts, state: RunState, tool: Tool, intent: ToolIntent): Promise<boolean> {
  const subject = tool.subject(intent.input);
  const verdict = ports.judge({ tool: tool.name, subject, effect: tool.effect });
  const doubted = ports.record.steps.some(
    (step) => step.kind === 'tool' && step.status === 'in_doubt' && step.intent.callId === intent.callId,
  );
  if (verdict.decision === 'deny') {
    await ports.record.refuseTool(intent, {
      class: 'denied',
      message: `Denied by policy: ${verdict.reason}`,
    });
    return false;
  }
  if (verdict.decision === 'allow' && !doubted) return true;
  const tree = await ports.workspace.snapshot();
  const actionHash = ports.hashAction({ tool: tool.name, input: intent.input, tree });
  const approval = state.approvals.get(intent.callId);
  if (approval === undefined) {
    await ports.record.openAsk({
      kind: 'approval',
      about: 'tool',
      question: doubted
        ? `The worker died while ${tool.name} ran; it may have taken effect. Run it again?`
        : `May the agent call ${tool.name}? ${verdict.reason}`,
      callId: intent.callId,
      modelSeq: intent.modelSeq,
      tree,
      detail: { tool: tool.name, input: intent.input, subject, folder: '/workspace', tree },
      actionHash,
    });
    return false;
  }
  const { decision, answer, by } = approval.result;
  if (decision !== 'approve') {
    const reason = answer === '' ? '' : ` ${answer}`;
    await ports.record.refuseTool(intent, { class: 'denied', message: `Denied by ${by}.${reason}` });
    return false;
  }
  if (approval.ask.intent.tree !== tree) {
    const message = 'The workspace is no longer the one that was approved; the approval does not hold.';
    await ports.record.refuseTool(intent, { class: 'denied', message });
    return false;
  }
  return true;
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
