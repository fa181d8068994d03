import type { CrashPoints } from '../crash-points.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type AnthropicSettings, openAnthropic } from './anthropic.ts';
import { type ModelDescription, ModelError, type Models } from './model.ts';
import { type ListedModel, type PriceTable, priceFrom } from './prices.ts';
import { type CallLimits, callProvider, defaultCallLimits, type ProviderModel } from './provider-model.ts';
import { openResponder, replayFetch } from './recorded-model.ts';
import { openRecordings } from './recording.ts';

export interface ModelsSettings {
  /** Folder of `NAME.jsonl`, each the model `recorded/NAME`. */
  recordings: string;
  /** Absent where no key was given. */
  anthropic?: AnthropicSettings | undefined;
  prices: PriceTable;
  log: Logger;
  crashPoints?: CrashPoints | undefined;
  limits?: CallLimits | undefined;
}

/** Every model there is, by `provider/name`. */
export function openModels(settings: ModelsSettings): Models {
  const { log, crashPoints, prices, limits = defaultCallLimits } = settings;
  const recordings = openRecordings(settings.recordings);
  const replay = openAnthropic({
    apiKey: 'recorded',
    fetch: replayFetch(openResponder((name) => recordings.read(name))),
  });
  const anthropic = settings.anthropic && openAnthropic(settings.anthropic);

  /** A further provider is a file beside `anthropic.ts` and a case here and in `describe`. */
  function open(model: string): ProviderModel {
    const [provider, name] = splitName(model);
    if (provider === 'recorded') return replay(name);
    if (provider === 'anthropic' && anthropic) return anthropic(name);
    throw unknownModel(model);
  }

  function describe(model: string): ModelDescription {
    const [provider, name] = splitName(model);
    if (provider === 'recorded') {
      const recording = recordings.read(name);
      if (recording) return { model, recording: true, ...measures(recording, recording.price) };
    }
    if (provider === 'anthropic' && anthropic) {
      const listed = findListed(prices, model);
      if (!listed) throw unpriced(model);
      return { model, recording: false, ...measures(listed, listed) };
    }
    throw unknownModel(model);
  }

  function unknownModel(model: string): AppError {
    const recorded = recordings.names().map((name) => `recorded/${name}`);
    const priced = Object.keys(prices.models).filter((name) => anthropic && name.startsWith('anthropic/'));
    const there = [...recorded, ...priced].join(', ') || 'none';
    const connect = anthropic ? '' : ' To use Anthropic, set ANTHROPIC_API_KEY and restart.';
    return new AppError('unprocessable', `There is no model ${model}. There are: ${there}.${connect}`);
  }

  return {
    describe,
    async call(request, options) {
      const opened = open(request.model);
      crashPoints?.reach('model:before');
      const started = performance.now();
      const finish = (outcome: Record<string, unknown>) =>
        log.debug(
          { model: request.model, ms: Math.round(performance.now() - started), ...outcome },
          'model call',
        );
      try {
        const answer = await callProvider(opened, request, { ...options, limits });
        crashPoints?.reach('model:after');
        finish({ usage: answer.usage });
        return answer;
      } catch (error) {
        if (error instanceof ModelError) finish({ error: error.class, message: error.message });
        throw error;
      }
    },
  };
}

function splitName(model: string): [provider: string, name: string] {
  const at = model.indexOf('/');
  return at < 0 ? ['', model] : [model.slice(0, at), model.slice(at + 1)];
}

/** A dated name, such as `claude-sonnet-4-5-20250929`, costs what its model costs. */
function findListed({ models }: PriceTable, model: string): ListedModel | undefined {
  return models[model] ?? models[model.replace(/-\d{8}$/, '')];
}

function measures(
  { contextTokens, maxOutputTokens }: { contextTokens: number; maxOutputTokens: number },
  price: ListedModel | Parameters<typeof priceFrom>[0],
) {
  return { contextTokens, maxOutputTokens, price: priceFrom(price) };
}

function unpriced(model: string): AppError {
  const entry = { models: { [model]: { input: 2, cachedInput: 0.1, output: 10 } } };
  return new AppError(
    'unprocessable',
    `No price is known for ${model}, and no call is made without one. Ask your provider and put it, in US dollars for a million tokens, into mission.config.json, such as ${JSON.stringify(entry)}.`,
  );
}
