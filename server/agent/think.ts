import type { ErrorClass, ModelResult } from '../../contract/steps.ts';
import { highestUsage, ModelError, type ModelRequest, priceOf } from '../models/model.ts';
import { openBudgetAsk } from './answer.ts';
import type { Amount, LoopPorts, WorkResult } from './ports.ts';
import { systemPrompt } from './prompt-texts.ts';
import type { RunState } from './state.ts';

const budgetRetryMs = 3_000;
/** Enough for a large file in one answer; a model's own limit may be ten times what a turn needs reserved. */
const longestAnswerTokens = 16_000;

/** One model call: its highest price is reserved and its intent committed before it starts. */
export async function think(ports: LoopPorts, state: RunState): Promise<WorkResult | null> {
  const description = ports.models.describe(ports.model);
  const request = buildRequest(ports, state, Math.min(description.maxOutputTokens, longestAnswerTokens));
  const highest = highestUsage(request);
  const reservation = { tokens: highest.input + highest.output, micros: priceOf(highest, description.price) };
  const intended = await ports.record.intendModel(
    {
      phase: state.phase ?? '',
      model: ports.model,
      promptHash: ports.hash(JSON.stringify(request)),
      builtFromSteps: (ports.record.steps.at(-1)?.seq ?? 0) + 1,
      attempt: state.failures.length + 1,
    },
    reservation,
  );
  if ('refused' in intended) {
    if (intended.refused === 'spent') return openBudgetAsk(ports, intended);
    return waitForBudget(ports, intended.explanation);
  }
  try {
    const { usage, ...result } = await ports.models.call(request, {
      signal: ports.signal,
      onText: (text) => ports.live.write(intended.seq, text),
    });
    await ports.live.flush();
    const used: Amount = { tokens: usage.input + usage.output, micros: priceOf(usage, description.price) };
    await ports.record.completeModel(intended.seq, {
      status: 'done',
      result: result satisfies ModelResult,
      usage,
      used,
    });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const free = neverCharged.has(error.class) && error.usage === undefined;
    await ports.record.completeModel(intended.seq, {
      status: 'failed',
      error: {
        class: error.class,
        message: error.message,
        ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
      },
      ...(error.usage === undefined ? {} : { usage: error.usage }),
      used: free ? { tokens: 0, micros: 0 } : null,
    });
  }
  return null;
}

/** Failures before the provider did any work; every other failed call settles at its reservation. */
const neverCharged: ReadonlySet<ErrorClass> = new Set([
  'rate_limited',
  'overloaded',
  'authentication',
  'no_credit',
  'invalid_request',
  'unknown_model',
  'context_overflow',
  'network',
  'recording_mismatch',
]);

function buildRequest(ports: LoopPorts, state: RunState, maxOutputTokens: number): ModelRequest {
  const phase = ports.briefing.playbook.phases.find((candidate) => candidate.name === state.phase);
  return {
    model: ports.model,
    system: systemPrompt(ports.briefing),
    messages: state.messages,
    tools: ports.tools
      .filter((tool) => phase?.tools.includes(tool.name))
      .map((tool) => ports.defineTool(tool)),
    maxOutputTokens,
  };
}

function waitForBudget(ports: LoopPorts, explanation: string): WorkResult {
  const wakeAt = ports.now() + budgetRetryMs;
  return {
    kind: 'wait',
    wakeAt,
    waiting: {
      on: 'budget',
      ref: null,
      reason: `${explanation}; other calls hold it now`,
      owner: 'control-plane',
      deadline: new Date(wakeAt).toISOString(),
      atDeadline: 'retry',
    },
  };
}
