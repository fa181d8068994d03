import type { ModelView } from '../../contract/models.ts';
import type { CrashPoints } from '../crash-points.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { listCatalogue } from './catalogue.ts';
import { openModelLists } from './list-models.ts';
import { type ModelDescription, ModelError, type Models } from './model.ts';
import { findListed, type ListedModel, type PriceTable, priceFrom } from './prices.ts';
import { type CallLimits, callProvider, type ProviderModel } from './provider-model.ts';
import { openProviderModel } from './providers.ts';
import { openResponder, replayFetch } from './recorded-model.ts';
import type { Recorder } from './recorder.ts';
import { openRecordings } from './recording.ts';
import { type Connection, isConnected, type ModelRegistry } from './registry.ts';

export interface ModelsSettings {
  /** Folder of `NAME.jsonl`, each the model `recorded/NAME`. */
  recordings: string;
  registry: ModelRegistry;
  prices: PriceTable;
  log: Logger;
  /** How requests leave for providers. */
  fetch?: typeof fetch | undefined;
  crashPoints?: CrashPoints | undefined;
  limits?: CallLimits | undefined;
  /** Writes down what providers answer, so that it can be replayed. */
  recorder?: Recorder | undefined;
}

export interface ModelCatalogue extends Models {
  /** Every model that can be chosen, also those whose price is not known yet. */
  list(): Promise<ModelView[]>;
}

/** Every model there is, by `provider/name`. */
export function openModels(settings: ModelsSettings): ModelCatalogue {
  const { log, crashPoints, limits, registry, recorder } = settings;
  const send = settings.fetch ?? fetch;
  const recordings = openRecordings(settings.recordings);
  const replay = replayFetch(openResponder((name) => recordings.read(name)));
  const listAtProvider = openModelLists({ fetch: send, log, now: () => performance.now() });

  async function open(model: string): Promise<{ opened: ProviderModel; apiKey: string | null }> {
    const [provider, name] = splitName(model);
    if (provider === 'recorded') {
      const opened = await openProviderModel(replayed, name, { fetch: replay, options: undefined });
      return { opened, apiKey: null };
    }
    const connection = await connect(model);
    const { options } = findListed(await readPrices(), model) ?? {};
    const opened = await openProviderModel(connection, name, { fetch: send, options });
    return { opened, apiKey: connection.apiKey };
  }

  /** @throws AppError where the model's provider cannot be called, saying why and what to do */
  async function connect(model: string): Promise<Connection> {
    const [provider] = splitName(model);
    const connections = await registry.connections();
    const connection = connections.find(({ name }) => name === provider);
    if (connection === undefined) throw await unknownModel(model, connections);
    if (connection.problem !== null) throw new AppError('unprocessable', connection.problem);
    if (!isConnected(connection)) {
      throw new AppError(
        'unprocessable',
        `${model} cannot be called: the provider ${provider} has no key. Give it under Settings, or by PUT /api/v1/providers/${provider}.`,
      );
    }
    return connection;
  }

  async function readPrices(): Promise<Record<string, ListedModel>> {
    const { asOf, models } = settings.prices;
    const table = Object.entries(models).map(([model, listed]) => [model, { asOf, ...listed }] as const);
    const said = Object.entries(await registry.prices()).map(
      ([model, price]) => [model, { ...limitsOf(models[model]), ...price }] as const,
    );
    return { ...Object.fromEntries(table), ...Object.fromEntries(said) };
  }

  async function describe(model: string): Promise<ModelDescription> {
    const [provider, name] = splitName(model);
    if (provider === 'recorded') {
      const recording = recordings.read(name);
      if (recording) return { model, recording: true, ...measures(recording, recording.price) };
      throw await unknownModel(model, await registry.connections());
    }
    const { kind } = await connect(model);
    const listed = findListed(await readPrices(), model);
    if (!listed) throw unpriced(model);
    return { model, recording: false, ...measures(listed, listed, kind) };
  }

  async function unknownModel(model: string, connections: Connection[]): Promise<AppError> {
    const connected = connections.filter(isConnected).map(({ name }) => name);
    const priced = Object.keys(await readPrices()).filter((name) => connected.includes(splitName(name)[0]));
    const there = [...recordings.names().map((name) => `recorded/${name}`), ...priced].join(', ') || 'none';
    const [provider] = splitName(model);
    const connect =
      provider === 'recorded' || connected.includes(provider) ? '' : ` ${howToConnect(provider)}`;
    return new AppError('unprocessable', `There is no model ${model}. There are: ${there}.${connect}`);
  }

  async function list(): Promise<ModelView[]> {
    const connections = (await registry.connections()).filter(isConnected);
    return listCatalogue({ connections, prices: await readPrices(), recordings, listAtProvider, log });
  }

  return {
    describe,
    list,
    async call(request, options) {
      const { opened, apiKey } = await open(request.model);
      crashPoints?.reach('model:before');
      const started = performance.now();
      const finish = (outcome: Record<string, unknown>) =>
        log.debug(
          { model: request.model, ms: Math.round(performance.now() - started), ...outcome },
          'model call',
        );
      try {
        const answer = await callProvider(opened, request, { ...options, ...(limits && { limits }) });
        crashPoints?.reach('model:after');
        if (!request.model.startsWith('recorded/')) await recorder?.write(request, answer);
        finish({ usage: answer.usage });
        return answer;
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        const told = withoutKey(error, apiKey);
        finish({ error: told.class, message: told.message });
        throw told;
      }
    },
  };
}

/** A server may repeat in its refusal what it was sent. */
function withoutKey(error: ModelError, apiKey: string | null): ModelError {
  if (apiKey === null || apiKey === '' || !error.message.includes(apiKey)) return error;
  const { retryAfterMs, usage } = error;
  return new ModelError(error.class, error.message.replaceAll(apiKey, '[key]'), { retryAfterMs, usage });
}

/** Recordings speak Anthropic's protocol, in this process. */
const replayed: Connection = {
  name: 'recorded',
  kind: 'anthropic',
  baseURL: 'http://recorded.invalid/v1',
  apiKey: 'recorded',
  problem: null,
};

function splitName(model: string): [provider: string, name: string] {
  const at = model.indexOf('/');
  return at < 0 ? ['', model] : [model.slice(0, at), model.slice(at + 1)];
}

/** What a price that a person gave leaves as it was. */
function limitsOf(listed: ListedModel | undefined) {
  const { contextTokens = 200_000, maxOutputTokens = 32_000, options, images } = listed ?? {};
  return {
    contextTokens,
    maxOutputTokens,
    ...(options !== undefined && { options }),
    ...(images !== undefined && { images }),
  };
}

function howToConnect(provider: string): string {
  const variable = { anthropic: 'ANTHROPIC_API_KEY', openai: 'OPENAI_API_KEY', groq: 'GROQ_API_KEY' }[
    provider
  ];
  const byVariable = provider === 'google' ? 'GOOGLE_GENERATIVE_AI_API_KEY' : variable;
  const restart = byVariable === undefined ? '' : `, or set ${byVariable} and restart`;
  return `Connect the provider under Settings (PUT /api/v1/providers/${provider || 'NAME'})${restart}.`;
}

function measures(
  {
    contextTokens,
    maxOutputTokens,
    images,
  }: { contextTokens: number; maxOutputTokens: number; images?: boolean | undefined },
  price: Parameters<typeof priceFrom>[0],
  kind?: string,
) {
  // Of models behind other protocols it is not known, so that somebody has to say it.
  return {
    contextTokens,
    maxOutputTokens,
    images: images ?? kind !== 'openai-compatible',
    price: priceFrom(price, kind),
  };
}

function unpriced(model: string): AppError {
  const price = JSON.stringify({ input: 2, cachedInput: 0.2, output: 10 });
  return new AppError(
    'unprocessable',
    `No price is known for ${model}, and no call is made without one. Ask your provider (a model on your own machine costs 0) and give it in US dollars for a million tokens under Settings, by PUT /api/v1/models/${encodeURIComponent(model)}/price with a body such as ${price}, or in mission.config.json under "models".`,
  );
}
