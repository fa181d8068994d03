import type {
  LanguageModelV4,
  LanguageModelV4FinishReason,
  LanguageModelV4FunctionTool,
  LanguageModelV4Prompt,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import type { ModelResult, ToolCall, Usage } from '../../contract/steps.ts';
import { openStateCollector } from './answer-state.ts';
import { classifyError, isUnreadableAnswer } from './classify-error.ts';
import { highestUsage, type ModelAnswer, ModelError, type ModelRequest } from './model.ts';
import { buildPrompt, buildTools } from './prompt.ts';

/** A model as its provider's library opens it; each kind of provider makes its own. */
export interface ProviderModel {
  model: LanguageModelV4;
  trackUsage(): UsageTracker;
  /** Given with every call. */
  options?: SharedV4ProviderOptions;
  /** Says which parts of a prompt the provider is to keep in its cache. */
  markCacheable?(prompt: Prompt): Prompt;
  /** Tokens that the library lets the model write on top of what it is told, so that they are told less. */
  addedOutputTokens?: number;
  /** How long the provider may say nothing, where it stays silent for longer than most, in milliseconds. */
  quietMs?: number;
}

export interface Prompt {
  prompt: LanguageModelV4Prompt;
  tools: LanguageModelV4FunctionTool[];
}

/** Reads usage from a provider's raw events piece by piece, for an answer that never reaches its end. */
export interface UsageTracker {
  see(event: unknown): void;
  soFar(): Usage | undefined;
}

/** Milliseconds. */
export interface CallLimits {
  /** The longest silence between two events of an answer, its first included. */
  idleMs: number;
  wholeMs: number;
}
export const defaultCallLimits: CallLimits = { idleMs: 60_000, wholeMs: 600_000 };

export interface CallOptions {
  signal: AbortSignal;
  onText: (text: string) => void;
  limits?: CallLimits;
}

/**
 * One streamed call of a provider's model, through the AI SDK's provider interface and without its retries.
 * An answer counts only if its end event came: otherwise nothing of it is returned, whatever was streamed.
 * @throws ModelError for every failure of the provider; the signal's reason when aborted, at once
 */
export async function callProvider(
  provider: ProviderModel,
  request: ModelRequest,
  options: CallOptions,
): Promise<ModelAnswer> {
  const { quietMs } = provider;
  const watch = openWatch(
    options.signal,
    options.limits ?? { ...defaultCallLimits, ...(quietMs !== undefined && { idleMs: quietMs }) },
  );
  const usage = provider.trackUsage();
  const prompt = { prompt: buildPrompt(request), tools: buildTools(request.tools) };
  const answer = openAnswer();
  let reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart> | undefined;
  try {
    const { stream } = await watch.race(
      provider.model.doStream({
        ...(provider.markCacheable?.(prompt) ?? prompt),
        ...(provider.options && { providerOptions: provider.options }),
        maxOutputTokens: answerTokens(provider, request),
        abortSignal: watch.signal,
        // Raw events show life while the model says nothing, and usage before the end.
        includeRawChunks: true,
      }),
    );
    reader = stream.getReader();
    while (!answer.finish) {
      const { done, value: part } = await watch.race(reader.read().catch(asStreamFailure));
      if (done) break;
      watch.beat();
      if (part.type === 'raw') usage.see(part.rawValue);
      else takePart(answer, part, options.onText);
    }
    const finished = finishAnswer(answer, request);
    await readToEnd(reader);
    return finished;
  } catch (error) {
    throw watch.signal.aborted ? watch.verdict(usage.soFar()) : asModelError(error, usage.soFar());
  } finally {
    // The connection first, or cancelling would wait for a provider that says nothing more.
    watch.close();
    await Promise.allSettled([reader?.cancel()]);
  }
}

const leastAnswerTokens = 1_000;

/** @throws ModelError where thinking would leave no room for an answer within what is reserved */
function answerTokens({ addedOutputTokens = 0 }: ProviderModel, { maxOutputTokens }: ModelRequest): number {
  const left = maxOutputTokens - addedOutputTokens;
  if (addedOutputTokens === 0 || left >= leastAnswerTokens) return left;
  throw new ModelError(
    'invalid_request',
    `The thinking budget of ${addedOutputTokens} tokens leaves no room for an answer: a call may write ${maxOutputTokens} tokens in all. Lower it under "models" in mission.config.json.`,
  );
}

const restMs = 250;

/** A connection whose answer was read to its end can be used again; one that stays open is not waited for. */
async function readToEnd(reader: ReadableStreamDefaultReader<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, restMs);
  const end = (async () => {
    while (!(await reader.read()).done);
  })();
  // The answer is whole: what breaks after it does not matter.
  await Promise.race([Promise.allSettled([end]), late]);
  clearTimeout(timer);
}

/** Ends a call by the caller's signal or by either limit; `race` settles then, however the provider behaves. */
function openWatch(callerSignal: AbortSignal, limits: CallLimits) {
  const expiry = new AbortController();
  const signal = AbortSignal.any([callerSignal, expiry.signal]);
  const expire = (what: string) => () => expiry.abort(what);
  const idle = setTimeout(expire(`nothing came for ${seconds(limits.idleMs)}`), limits.idleMs);
  const whole = setTimeout(expire(`the answer took over ${seconds(limits.wholeMs)}`), limits.wholeMs);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  if (signal.aborted) end();
  else signal.addEventListener('abort', () => end(), { once: true });
  const refuse = (): never => {
    throw signal.reason;
  };
  return {
    signal,
    beat: () => idle.refresh(),
    race: <T>(work: PromiseLike<T>): Promise<T> => Promise.race([work, ended.then(refuse)]),
    verdict: (usage: Usage | undefined): unknown =>
      callerSignal.aborted
        ? callerSignal.reason
        : new ModelError('timeout', `The model did not finish: ${expiry.signal.reason}.`, { usage }),
    close() {
      clearTimeout(idle);
      clearTimeout(whole);
      expiry.abort('the call is over');
    },
  };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

interface AnswerSoFar {
  text: string;
  toolCalls: ToolCall[];
  /** Calls whose arguments have begun but not ended. */
  openCalls: Set<string>;
  state: ReturnType<typeof openStateCollector>;
  finish: Extract<LanguageModelV4StreamPart, { type: 'finish' }> | undefined;
}

function openAnswer(): AnswerSoFar {
  return { text: '', toolCalls: [], openCalls: new Set(), state: openStateCollector(), finish: undefined };
}

function takePart(
  answer: AnswerSoFar,
  part: LanguageModelV4StreamPart,
  onText: (text: string) => void,
): void {
  answer.state.see(part);
  switch (part.type) {
    case 'text-delta':
      answer.text += part.delta;
      onText(part.delta);
      break;
    case 'tool-input-start':
      answer.openCalls.add(part.id);
      break;
    case 'tool-call':
      answer.openCalls.delete(part.toolCallId);
      answer.toolCalls.push({ id: part.toolCallId, name: part.toolName, argumentsText: part.input });
      break;
    case 'finish':
      answer.finish = part;
      break;
    case 'error':
      throw part.error;
    default:
      break;
  }
}

function finishAnswer(answer: AnswerSoFar, request: ModelRequest): ModelAnswer {
  const { text, toolCalls, openCalls, finish } = answer;
  const reason = finish?.finishReason.unified;
  if (!finish || reason === 'interrupted' || reason === 'error' || openCalls.size > 0) {
    throw new StreamFailure('The answer ended before its end event.');
  }
  const providerState = answer.state.state();
  return {
    text,
    toolCalls,
    finishReason: finishReasonOf(finish.finishReason),
    usage: usageOf(finish.usage) ?? usageAtMost(answer, request),
    ...(providerState !== undefined && { providerState }),
  };
}

function usageOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage | undefined {
  if (inputTokens.total === undefined || outputTokens.total === undefined) return undefined;
  const { total, cacheRead = 0, cacheWrite = 0 } = inputTokens;
  return {
    input: total,
    cachedInput: cacheRead,
    ...(cacheWrite > 0 && { cacheWrite }),
    output: outputTokens.total,
  };
}

/** Some servers report nothing. What they took is then bounded from above, so that no budget is overspent. */
function usageAtMost({ text, toolCalls }: AnswerSoFar, request: ModelRequest): Usage {
  const said = Buffer.byteLength(JSON.stringify([text, toolCalls]));
  const { input, output } = highestUsage(request);
  return { input, cachedInput: 0, output: Math.min(output, said) };
}

function finishReasonOf({ unified }: LanguageModelV4FinishReason): ModelResult['finishReason'] {
  switch (unified) {
    case 'stop':
    case 'length':
      return unified;
    case 'tool-calls':
      return 'tool_calls';
    case 'content-filter':
      return 'refused';
    default:
      return 'other';
  }
}

/** The answer broke off or could not be read, after it had begun. */
class StreamFailure extends Error {}

function asStreamFailure(error: unknown): never {
  const reason = error instanceof Error ? (error.cause ?? error) : error;
  throw new StreamFailure(`The answer broke off: ${reason instanceof Error ? reason.message : reason}.`, {
    cause: reason,
  });
}

function asModelError(error: unknown, usage: Usage | undefined): unknown {
  if (error instanceof StreamFailure) {
    return new ModelError('stream_broken', error.message, { cause: error.cause, usage });
  }
  if (isUnreadableAnswer(error)) {
    return new ModelError('stream_broken', 'The answer could not be read.', { cause: error, usage });
  }
  const known = classifyError(error, Date.now());
  if (!known) return error;
  // The library's own error is left out: it carries the whole prompt, which belongs in no log.
  const cause = error instanceof Error ? error.cause : undefined;
  return new ModelError(known.class, known.message, { cause, retryAfterMs: known.retryAfterMs, usage });
}
