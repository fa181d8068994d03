import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { readHookSecrets } from '../hooks/hooks.ts';
import { sealName } from './brokered.ts';
import type { ProviderRegistry } from './provider-registry.ts';
import type { Vault } from './vault.ts';

export interface NamedSecret {
  name: string;
  value: string;
}

/** Shorter ones cannot be told from ordinary text. */
const shortest = 8;

/**
 * Every secret that this server holds, opened: what must never leave a sandbox, and never stand in a log. What cannot
 * be opened cannot leave either.
 * @param fixed those of the environment and the configuration file
 */
export async function readKnownSecrets(parts: {
  database: Database;
  vault: Vault;
  registry: Pick<ProviderRegistry, 'connections'>;
  fixed: readonly NamedSecret[];
}): Promise<NamedSecret[]> {
  const { database, vault, registry, fixed } = parts;
  const rows = await database.many<{ name: string; sealed: Buffer; keyId: string }>(
    sql`SELECT name, sealed, key_id AS "keyId" FROM brokered_credentials`,
  );
  const brokered = rows.flatMap((row) => {
    const value = openOrSkip(vault, row);
    return value === null ? [] : [{ name: row.name, value }];
  });
  const keys = (await registry.connections()).flatMap(({ name, apiKey }) =>
    apiKey === null ? [] : [{ name: `the key of ${name}`, value: apiKey }],
  );
  const hooks = await readHookSecrets(database, vault);
  return [...brokered, ...keys, ...hooks, ...fixed].filter(({ value }) => value.length >= shortest);
}

function openOrSkip(vault: Vault, row: { name: string; sealed: Buffer; keyId: string }): string | null {
  try {
    return vault.open(sealName(row.name), row);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}
