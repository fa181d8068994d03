import type { ProviderView, PutPriceBody, PutProviderBody } from '../../../contract/models.ts';
import type { Database } from '../../database/database.ts';
import type { Logger } from '../../log.ts';
import type { Actor } from '../actor.ts';
import { type ProviderContext, putProvider, removeProvider, resealCredentials } from './change-providers.ts';
import { putPrice, readPrices, type SaidPrice } from './model-prices.ts';
import {
  type ConfiguredProvider,
  type ConnectedProvider,
  presentProvider,
  readProviders,
} from './providers.ts';
import { openVault } from './vault.ts';

/**
 * The providers and prices that people gave, over those of the configuration. Nothing is held in memory: what
 * one process changes is true in every process at its next call.
 */
export class ProviderRegistry {
  readonly #context: ProviderContext;

  constructor(context: ProviderContext) {
    this.#context = context;
  }

  /**
   * Opens the vault too, and seals anew with its current key what an older one sealed.
   * @param options.vaultKey the keys; null for those of the file
   * @throws AppError invalid_request where a key is none
   */
  static async open(options: {
    database: Database;
    configured: readonly ConfiguredProvider[];
    vaultKey: string | null;
    vaultFile: string;
    log: Logger;
  }): Promise<ProviderRegistry> {
    const { database, configured, vaultKey, vaultFile, log } = options;
    const vault = openVault({ given: vaultKey, file: vaultFile });
    const resealed = await resealCredentials(database, vault);
    if (resealed > 0)
      log.info({ credentials: resealed }, 'credentials were sealed anew with the current key');
    return new ProviderRegistry({ database, configured, vault });
  }

  /** With their keys: for a call, never for an answer or a log. */
  async connections(): Promise<ConnectedProvider[]> {
    const { database, configured, vault } = this.#context;
    return readProviders(database, configured, vault);
  }

  async views(): Promise<ProviderView[]> {
    return (await this.connections()).map(presentProvider);
  }

  /** Calls a minute, where a provider has such a limit. */
  async limits(): Promise<ReadonlyMap<string, number>> {
    const connections = await this.connections();
    return new Map(
      connections.flatMap(({ name, requestsPerMinute: limit }) => (limit === null ? [] : [[name, limit]])),
    );
  }

  prices(): Promise<Record<string, SaidPrice>> {
    return readPrices(this.#context.database);
  }

  /** @throws AppError forbidden, unprocessable */
  async put(actor: Actor, name: string, body: PutProviderBody): Promise<ProviderView | undefined> {
    await putProvider(this.#context, actor, name, body);
    return (await this.views()).find((view) => view.name === name);
  }

  /** @throws AppError forbidden, not_found */
  remove(actor: Actor, name: string): Promise<void> {
    return removeProvider(this.#context, actor, name);
  }

  /** @throws AppError forbidden */
  putPrice(actor: Actor, model: string, price: PutPriceBody): Promise<void> {
    return putPrice(this.database, actor, model, price);
  }

  get database(): Database {
    return this.#context.database;
  }
}
