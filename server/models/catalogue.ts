import type { ModelView } from '../../contract/models.ts';
import { AppError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { findListed, type ListedModel } from './prices.ts';
import type { Recordings } from './recording.ts';
import type { Connection } from './registry.ts';

/** Every model that can be chosen: recordings, those with a price, and what the providers say they have. */
export async function listCatalogue(parts: {
  /** Those that can be called. */
  connections: readonly Connection[];
  prices: Readonly<Record<string, ListedModel>>;
  recordings: Recordings;
  listAtProvider: (connection: Connection) => Promise<string[]>;
  log: Logger;
}): Promise<ModelView[]> {
  const { connections, prices, recordings, listAtProvider, log } = parts;
  const offered = await Promise.all(
    connections.map(async (connection) =>
      (await listAtProvider(connection)).map((name) => `${connection.name}/${name}`),
    ),
  );
  const names = connections.map(({ name }) => name);
  const listed = Object.keys(prices).filter((model) => names.includes(providerOf(model)));
  const rest = offered.flat().filter((model) => !listed.includes(model));
  return [
    ...recordings.names().flatMap((name) => viewRecording(recordings, name, log)),
    ...listed.map((model) => viewModel(model, prices[model], 'listed')),
    ...rest.map((model) => viewModel(model, findListed(prices, model), 'provider')),
  ];
}

export function providerOf(model: string): string {
  return model.slice(0, Math.max(0, model.indexOf('/')));
}

/** A recording that is broken is left out here; to use it says what is wrong with it. */
function viewRecording(recordings: Recordings, name: string, log: Logger): ModelView[] {
  try {
    const recording = recordings.read(name);
    if (recording === undefined) return [];
    return [{ ...viewModel(recording.model, recording, 'recording'), price: recording.price }];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    log.warn({ recording: name, error: messageOf(error) }, 'a recording cannot be used');
    return [];
  }
}

function viewModel(
  model: string,
  listed: Partial<ListedModel> | undefined,
  source: ModelView['source'],
): ModelView {
  const { input, cachedInput, cacheWrite, output, contextTokens, maxOutputTokens, asOf } = listed ?? {};
  const known = input !== undefined && cachedInput !== undefined && output !== undefined;
  return {
    model,
    provider: providerOf(model),
    recording: source === 'recording',
    contextTokens: contextTokens ?? 200_000,
    maxOutputTokens: maxOutputTokens ?? 32_000,
    price: known ? { input, cachedInput, ...(cacheWrite !== undefined && { cacheWrite }), output } : null,
    priceAsOf: asOf ?? null,
    source,
  };
}
