import { AppError } from '../errors.ts';
import {
  highestPriceOf,
  highestUsage,
  ModelError,
  type ModelRequest,
  type Models,
  priceOf,
} from './model.ts';

const limitMs = 60_000;
/** Enough for a model that thinks before it says a word. */
const answerTokens = 256;

interface Amount {
  tokens: number;
  micros: number;
}

/**
 * The shortest call that shows whether a model can be used: key, address, name and price.
 * @throws AppError `unprocessable` where it cannot even be tried, saying why
 */
export async function prepareShortCall(models: Models, model: string) {
  const { price } = await models.describe(model);
  const request: ModelRequest = {
    model,
    system: 'You are asked whether you can be reached.',
    messages: [{ role: 'user', text: 'Reply with the word OK.' }],
    tools: [],
    maxOutputTokens: answerTokens,
  };
  const usage = highestUsage(request);
  const highest: Amount = { tokens: usage.input + usage.output, micros: highestPriceOf(usage, price) };
  return {
    highest,
    async run() {
      const started = performance.now();
      const since = () => Math.round(performance.now() - started);
      try {
        const signal = AbortSignal.timeout(limitMs);
        const answer = await models.call(request, { signal, onText: () => undefined });
        const used: Amount = {
          tokens: answer.usage.input + answer.usage.output,
          micros: priceOf(answer.usage, price),
        };
        return { ok: true, milliseconds: since(), message: `${model} answers`, used };
      } catch (error) {
        return { ok: false, milliseconds: since(), ...describeFailure(model, error) };
      }
    },
  };
}

const advice: Partial<Record<ModelError['class'], string>> = {
  authentication: 'Give the provider’s key anew, under Settings.',
  no_credit: 'Top up the account at the provider.',
  unknown_model: 'Look at the model’s name.',
  network: 'Look at the provider’s address, the network and the proxy.',
  rate_limited: 'Try again in a while.',
};

function describeFailure(model: string, error: unknown): { message: string; used: Amount | null } {
  if (error instanceof ModelError) {
    const free = error.usage === undefined && error.class !== 'timeout' && error.class !== 'stream_broken';
    const reason = error.message.replace(/\.?$/, '.');
    const message = `${model} does not answer (${error.class.replaceAll('_', ' ')}): ${reason} ${advice[error.class] ?? ''}`;
    return { message: message.trim(), used: free ? { tokens: 0, micros: 0 } : null };
  }
  if (error instanceof AppError) return { message: error.message, used: { tokens: 0, micros: 0 } };
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { message: `${model} did not answer within ${limitMs / 1000} s.`, used: null };
  }
  throw error;
}
