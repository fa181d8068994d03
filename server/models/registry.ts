import type { ListedPrice, ProviderKind } from '../../contract/models.ts';

/** Where a provider's models are called. */
export interface Connection {
  name: string;
  kind: ProviderKind;
  baseURL: string;
  /** Null where there is none; only an OpenAI-compatible server can do without. */
  apiKey: string | null;
  /** Why it cannot be called, with what to do, such as a key that cannot be unsealed. */
  problem: string | null;
}

/** A price that a person gave; limits that they did not give stay as they were known. */
export interface SaidPrice extends ListedPrice {
  asOf: string;
  contextTokens?: number;
  maxOutputTokens?: number;
}

/**
 * What people connected and priced. It is asked anew for every call, so that a change holds at the next call
 * in every process.
 */
export interface ModelRegistry {
  connections(): Promise<Connection[]>;
  /** By `provider/name`; they take the place of the price table's. */
  prices(): Promise<Record<string, SaidPrice>>;
}

export function isConnected({ kind, apiKey, problem }: Connection): boolean {
  return problem === null && (apiKey !== null || kind === 'openai-compatible');
}
