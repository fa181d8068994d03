import type { ErrorClass, ModelResult } from '../../contract/steps.ts';
import { AppError } from '../errors.ts';
import {
  highestPriceOf,
  highestUsage,
  type ModelDescription,
  ModelError,
  type ModelRequest,
  priceOf,
  withoutImages,
} from '../models/model.ts';
import { openBudgetAsk } from './answer.ts';
import type { Amount, LoopPorts, ReservationRefused, WorkResult } from './ports.ts';
import { systemPrompt } from './prompt-texts.ts';
import type { RunState } from './state.ts';

const budgetRetryMs = 3_000;
/** Enough for a large file in one answer; a model's own limit may be ten times what a turn needs reserved. */
const longestAnswerTokens = 16_000;

/** One model call: its highest price is reserved and its intent committed before it starts. */
export async function think(ports: LoopPorts, state: RunState): Promise<WorkResult | null> {
  const model = state.model ?? ports.model;
  const pause = await ports.pace.enter(model);
  if (pause !== null) return waitForProvider(model, pause);
  const description = await describe(ports, model);
  const maxOutputTokens = Math.min(description.maxOutputTokens, longestAnswerTokens);
  const images = 'images' in description && description.images === true;
  const request = buildRequest(ports, state, { model, maxOutputTokens, images });
  const highest = highestUsage(request);
  const reservation =
    'unusable' in description
      ? nothing
      : { tokens: highest.input + highest.output, micros: highestPriceOf(highest, description.price) };
  const intended = await ports.record.intendModel(
    {
      phase: state.phase ?? '',
      model,
      promptHash: ports.hash(JSON.stringify(request)),
      builtFromSteps: (ports.record.steps.at(-1)?.seq ?? 0) + 1,
      attempt: state.failures.length + 1,
    },
    reservation,
  );
  if ('refused' in intended) {
    const { refused, retryAt } = intended;
    if (refused === 'spent' && retryAt === undefined) return openBudgetAsk(ports, intended);
    return waitForBudget(ports, intended);
  }
  if ('unusable' in description) {
    await completeFailed(ports, intended.seq, new ModelError('unknown_model', description.unusable));
    return null;
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
    const failure = isUnusable(error) ? new ModelError('unknown_model', error.message) : error;
    if (!(failure instanceof ModelError)) throw failure;
    await completeFailed(ports, intended.seq, failure);
    if (
      failure.class === 'rate_limited' ||
      (failure.class === 'overloaded' && failure.retryAfterMs !== undefined)
    )
      await ports.pace.slowDown(model, failure.retryAfterMs, failure.message);
  }
  return null;
}

const nothing: Amount = { tokens: 0, micros: 0 };

/** A model whose provider is gone or whose price is not known fails as a call does, so that the run goes on or asks. */
async function describe(
  ports: LoopPorts,
  model: string,
): Promise<ModelDescription | { unusable: string; maxOutputTokens: number }> {
  try {
    return await ports.models.describe(model);
  } catch (error) {
    if (!isUnusable(error)) throw error;
    return { unusable: error.message, maxOutputTokens: longestAnswerTokens };
  }
}

function isUnusable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'unprocessable';
}

async function completeFailed(ports: LoopPorts, seq: number, error: ModelError): Promise<void> {
  const free = neverCharged.has(error.class) && error.usage === undefined;
  await ports.record.completeModel(seq, {
    status: 'failed',
    error: {
      class: error.class,
      message: error.message,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    },
    ...(error.usage === undefined ? {} : { usage: error.usage }),
    used: free ? nothing : null,
  });
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

function buildRequest(
  ports: LoopPorts,
  state: RunState,
  { model, maxOutputTokens, images }: { model: string; maxOutputTokens: number; images: boolean },
): ModelRequest {
  const phase = ports.briefing.playbook.phases.find((candidate) => candidate.name === state.phase);
  return {
    model,
    system: systemPrompt(ports.briefing),
    messages: images ? state.messages : withoutImages(state.messages),
    tools: ports.tools
      .filter((tool) => phase?.tools.includes(tool.name))
      .map((tool) => ports.defineTool(tool)),
    maxOutputTokens,
  };
}

function waitForBudget(ports: LoopPorts, { explanation, retryAt }: ReservationRefused): WorkResult {
  const wakeAt = retryAt ?? ports.now() + budgetRetryMs;
  return {
    kind: 'wait',
    wakeAt,
    waiting: {
      on: 'budget',
      ref: null,
      reason: retryAt === undefined ? `${explanation}; other calls hold it now` : explanation,
      owner: 'control-plane',
      deadline: new Date(wakeAt).toISOString(),
      atDeadline: 'retry',
    },
  };
}

/** Everybody who calls this provider waits for it; the run gives its worker back meanwhile. */
function waitForProvider(model: string, { until, reason }: { until: number; reason: string }): WorkResult {
  return {
    kind: 'wait',
    wakeAt: until,
    waiting: {
      on: 'timer',
      ref: model.slice(0, model.indexOf('/')),
      reason,
      owner: 'control-plane',
      deadline: new Date(until).toISOString(),
      atDeadline: 'retry',
    },
  };
}
