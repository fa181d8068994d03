import pico from 'picocolors';
import type { CheckStep, ModelStep, PhaseStep, ToolStep } from '../../contract/steps.ts';
import type { Style } from '../terminal.ts';

/** Steps for tests of the views; each is `intended` until it is ended. */

export const plain: Style = { colors: pico.createColors(false), width: 80 };

const common = {
  runId: 'run_0000000000000000a',
  status: 'intended' as const,
  result: null,
  error: null,
  usage: null,
  costMicros: null,
  snapshot: null,
  startedAt: '2026-01-05T09:00:00.000Z',
  endedAt: null,
};

export function phaseStep(seq: number, phase: string): PhaseStep {
  return {
    ...common,
    seq,
    kind: 'phase',
    name: phase,
    status: 'done',
    intent: { phase },
    endedAt: common.startedAt,
  };
}

export function modelStep(seq: number, attempt = 1): ModelStep {
  const intent = {
    phase: 'implement',
    model: 'recorded/sample-task',
    promptHash: '',
    builtFromSteps: seq,
    attempt,
  };
  return { ...common, seq, kind: 'model', name: intent.model, intent };
}

export function saidStep(seq: number, text: string): ModelStep {
  return {
    ...modelStep(seq),
    status: 'done',
    result: { text, toolCalls: [], finishReason: 'stop' },
    usage: { input: 1_000, cachedInput: 400, output: 200 },
    costMicros: 3_000,
    endedAt: '2026-01-05T09:00:02.000Z',
  };
}

export function toolStep(seq: number, name: string, input: Record<string, unknown>): ToolStep {
  const intent = { callId: `call_${seq}`, modelSeq: 1, name, input, effect: 'workspace' as const };
  return { ...common, seq, kind: 'tool', name, intent };
}

export function endedTool(step: ToolStep, result: NonNullable<ToolStep['result']>): ToolStep {
  const error = result.ok ? null : { class: 'tool_failed' as const, message: result.output };
  return {
    ...step,
    status: result.ok ? 'done' : 'failed',
    result,
    error,
    endedAt: '2026-01-05T09:00:00.250Z',
  };
}

export function checkStep(seq: number, where: CheckStep['intent']['where']): CheckStep {
  const intent = { command: 'npm test', commit: '0123456789abcdef', where };
  return { ...common, seq, kind: 'check', name: 'npm test', intent };
}
