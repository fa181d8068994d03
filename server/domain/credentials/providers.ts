import {
  defaultBaseUrl,
  normalizeBaseUrl,
  type ProviderKind,
  type ProviderView,
} from '../../../contract/models.ts';
import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import type { Vault } from './vault.ts';

/** A provider as the environment or the configuration file names it. */
export interface ConfiguredProvider {
  name: string;
  kind: ProviderKind;
  baseURL: string;
  apiKey: string | null;
  requestsPerMinute: number | null;
}

/** A provider with its key, as a call needs it. It never leaves the process. */
export interface ConnectedProvider extends ConfiguredProvider {
  keyFrom: 'environment' | 'vault' | null;
  /** Why it cannot be called, with what to do. */
  problem: string | null;
}

interface ProviderRow {
  name: string;
  kind: ProviderKind;
  baseUrl: string | null;
  requestsPerMinute: number | null;
  credential: string | null;
  sealed: Buffer | null;
  keyId: string | null;
}

/** Every provider: the configured ones, with what people said since by the API in their place. */
export async function readProviders(
  database: Queryable,
  configured: readonly ConfiguredProvider[],
  vault: Vault,
): Promise<ConnectedProvider[]> {
  const rows = await database.many<ProviderRow>(
    sql`SELECT providers.name, kind, base_url AS "baseUrl", requests_per_minute AS "requestsPerMinute",
          credential, sealed, key_id AS "keyId"
        FROM providers LEFT JOIN credentials ON credentials.name = providers.credential`,
  );
  const said = new Map(rows.map((row) => [row.name, row]));
  const names = [...new Set([...configured.map(({ name }) => name), ...said.keys()])].sort();
  return names.flatMap((name) => {
    const given = configured.find((provider) => provider.name === name);
    const row = said.get(name);
    if (row !== undefined) return [connect(row, given, vault)];
    if (given === undefined) return [];
    return [{ ...given, keyFrom: given.apiKey === null ? null : ('environment' as const), problem: null }];
  });
}

function connect(row: ProviderRow, given: ConfiguredProvider | undefined, vault: Vault): ConnectedProvider {
  const { name, kind } = row;
  const baseURL = baseUrlOf(kind, row.baseUrl, given);
  const about = {
    name,
    kind,
    baseURL,
    requestsPerMinute: row.requestsPerMinute ?? given?.requestsPerMinute ?? null,
  };
  if (row.sealed !== null && row.keyId !== null) {
    const opened = tryOpen(vault, row.credential ?? name, { sealed: row.sealed, keyId: row.keyId });
    return { ...about, ...opened, keyFrom: 'vault' };
  }
  // The environment's key goes where the environment said, and nowhere else.
  const apiKey = given?.kind === kind && given.baseURL === baseURL ? given.apiKey : null;
  return { ...about, apiKey, keyFrom: apiKey === null ? null : 'environment', problem: null };
}

function tryOpen(vault: Vault, name: string, sealed: { sealed: Buffer; keyId: string }) {
  try {
    return { apiKey: vault.open(name, sealed), problem: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { apiKey: null, problem: error.message };
  }
}

export function baseUrlOf(
  kind: ProviderKind,
  said: string | null,
  given: ConfiguredProvider | undefined,
): string {
  const url = said ?? (given?.kind === kind ? given.baseURL : null) ?? defaultBaseUrl(kind);
  return url === null ? '' : normalizeBaseUrl(kind, url);
}

/** What people may see of a provider: never its key. */
export function presentProvider(provider: ConnectedProvider): ProviderView {
  const { name, kind, baseURL, apiKey, keyFrom, requestsPerMinute, problem } = provider;
  return {
    name,
    kind,
    baseUrl: withoutPassword(baseURL),
    connected: problem === null && (apiKey !== null || kind === 'openai-compatible'),
    keyFrom,
    requestsPerMinute,
    problem,
  };
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.password === '' && parsed.username === '') return url;
  parsed.username = '';
  parsed.password = '';
  return parsed.href.replace(/\/$/, '');
}
