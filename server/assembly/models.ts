import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { CrashPoints } from '../crash-points.ts';
import type { Database } from '../database/database.ts';
import { Pace } from '../domain/credentials/pace.ts';
import { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import { type ModelCatalogue, openModels } from '../models/models.ts';
import { openFetch } from '../models/network.ts';
import { addOwnModels, readPriceTable } from '../models/prices.ts';
import { openRecorder } from '../models/recorder.ts';
import type { Base } from './base.ts';

/** Providers, prices and their shared pace, and every model that can be called. */
export async function openConfiguredModels(
  config: Config,
  base: Base & { database: Database; crashPoints: CrashPoints },
): Promise<{ models: ModelCatalogue; registry: ProviderRegistry; pace: Pace }> {
  const { log, database, crashPoints } = base;
  const registry = await ProviderRegistry.open({
    database,
    configured: config.providers,
    vaultKey: config.vaultKey,
    vaultFile: join(config.home, 'vault.key'),
    log,
  });

  const keys = async () => (await registry.connections()).flatMap(({ apiKey }) => apiKey ?? []);
  const recorder =
    config.record === null ? undefined : openRecorder({ file: config.record, log, secrets: keys });
  const models = openModels({
    recordings: config.recordings,
    registry,
    prices: addOwnModels(readPriceTable(), config.models),
    fetch: openFetch(config.proxy),
    log,
    crashPoints,
    recorder,
  });
  const pace = new Pace({ database, now: () => systemClock.now(), limits: () => registry.limits() });
  return { models, registry, pace };
}
