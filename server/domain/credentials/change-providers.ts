import { normalizeBaseUrl, type PutProviderBody } from '../../../contract/models.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { baseUrlOf, type ConfiguredProvider } from './providers.ts';
import type { Vault } from './vault.ts';

export interface ProviderContext {
  database: Database;
  configured: readonly ConfiguredProvider[];
  vault: Vault;
}

/**
 * Connects a provider, or changes it; its key is sealed first. A key goes only where it was given for: a new
 * address needs its key anew.
 * @throws AppError forbidden, unprocessable
 */
export async function putProvider(
  { database, configured, vault }: ProviderContext,
  actor: Actor,
  name: string,
  body: PutProviderBody,
): Promise<void> {
  requireOperator(actor, 'connect providers');
  const { kind, apiKey, requestsPerMinute } = body;
  const given = configured.find((provider) => provider.name === name);
  const baseUrl =
    body.baseUrl === undefined ? undefined : normalizeBaseUrl(kind, refuseUserInfo(body.baseUrl));
  if (kind === 'openai-compatible' && baseUrl === undefined && given?.kind !== kind) {
    const known = await database.maybe(
      sql`SELECT name FROM providers WHERE name = ${name} AND kind = ${kind} AND base_url IS NOT NULL`,
    );
    if (known === undefined) {
      throw new AppError(
        'unprocessable',
        `${name} needs a baseUrl, such as http://127.0.0.1:11434/v1 for Ollama.`,
      );
    }
  }
  await database.transaction('providers.put', async (transaction) => {
    const before = await transaction.maybe<{
      kind: typeof kind;
      baseUrl: string | null;
      credential: string | null;
    }>(sql`SELECT kind, base_url AS "baseUrl", credential FROM providers WHERE name = ${name} FOR UPDATE`);
    const sameKind = before?.kind === kind;
    const said = baseUrl ?? (sameKind ? before.baseUrl : null);
    const moved =
      before !== undefined && baseUrlOf(before.kind, before.baseUrl, given) !== baseUrlOf(kind, said, given);
    const kept = before?.credential != null && apiKey === undefined && sameKind && !moved;
    if (apiKey != null) await sealCredential(transaction, vault, name, apiKey);
    const credential = apiKey != null || kept ? name : null;
    await transaction.many(
      sql`INSERT INTO providers (name, kind, base_url, credential, requests_per_minute, updated_by)
          VALUES (${name}, ${kind}, ${said}, ${credential}, ${requestsPerMinute ?? null}, ${actor.name})
          ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, base_url = excluded.base_url,
            credential = excluded.credential, updated_by = excluded.updated_by, updated_at = now(),
            requests_per_minute = CASE WHEN ${requestsPerMinute === undefined}::boolean
              THEN providers.requests_per_minute ELSE excluded.requests_per_minute END`,
    );
    if (credential === null) await transaction.many(sql`DELETE FROM credentials WHERE name = ${name}`);
    await tell(transaction, actor, 'provider.changed', name, { kind, keyChanged: apiKey !== undefined });
  });
}

/** @throws AppError forbidden, not_found */
export async function removeProvider(
  { database, configured }: ProviderContext,
  actor: Actor,
  name: string,
): Promise<void> {
  requireOperator(actor, 'remove providers');
  await database.transaction('providers.remove', async (transaction) => {
    const row = await transaction.maybe(sql`DELETE FROM providers WHERE name = ${name} RETURNING name`);
    if (row === undefined) {
      const given = configured.some((provider) => provider.name === name);
      throw new AppError(
        'not_found',
        given
          ? `${name} comes from the environment or mission.config.json: take it away there and restart.`
          : `There is no provider ${name}.`,
      );
    }
    await transaction.many(sql`DELETE FROM credentials WHERE name = ${name}`);
    await tell(transaction, actor, 'provider.removed', name, {});
  });
}

/** Seals what is sealed with an older key anew with the current one. Returns how many were. */
export async function resealCredentials(database: Database, vault: Vault): Promise<number> {
  const current = vault.currentKeyId();
  if (current === undefined) return 0;
  return database.transaction('credentials.reseal', async (transaction) => {
    const rows = await transaction.many<{ name: string; sealed: Buffer; keyId: string }>(
      sql`SELECT name, sealed, key_id AS "keyId" FROM credentials WHERE key_id <> ${current} FOR UPDATE`,
    );
    let resealed = 0;
    for (const row of rows) {
      const secret = openOrLeave(vault, row);
      if (secret === undefined) continue;
      await sealCredential(transaction, vault, row.name, secret);
      resealed += 1;
    }
    return resealed;
  });
}

/** What cannot be opened stays as it is: its key may come back, and its provider says what is wrong. */
function openOrLeave(vault: Vault, row: { name: string; sealed: Buffer; keyId: string }): string | undefined {
  try {
    return vault.open(row.name, row);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

async function sealCredential(
  transaction: Transaction,
  vault: Vault,
  name: string,
  secret: string,
): Promise<void> {
  const { sealed, keyId } = vault.seal(name, secret);
  await transaction.many(
    sql`INSERT INTO credentials (name, sealed, key_id) VALUES (${name}, ${sealed}, ${keyId})
        ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, key_id = excluded.key_id, updated_at = now()`,
  );
}

async function tell(
  transaction: Transaction,
  actor: Actor,
  type: 'provider.changed' | 'provider.removed',
  name: string,
  data: Record<string, unknown>,
): Promise<void> {
  await appendEvents(transaction, [
    { type, entityType: 'provider', entityId: name, actor: actor.name, data: { name, ...data } },
  ]);
}

/** A password in an address would be shown with it. */
function refuseUserInfo(url: string): string {
  const { username, password } = new URL(url);
  if (username === '' && password === '') return url;
  throw new AppError('unprocessable', 'Put no name or password into the baseUrl; give the key as apiKey.');
}

export function requireOperator(actor: Actor, what: string): void {
  if (actor.role !== 'admin' && actor.role !== 'operator') {
    throw new AppError('forbidden', `only operators and admins ${what}`);
  }
}
