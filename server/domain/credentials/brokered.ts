import type {
  CreateCredentialBody,
  CredentialView,
  GrantBody,
  GrantScope,
} from '../../../contract/credentials.ts';
import type { EventType } from '../../../contract/events.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { findAgent } from '../principals/principals.ts';
import type { Vault } from './vault.ts';

export interface CredentialContext {
  database: Database;
  vault: Vault;
}

/** So that no row of another table can take its place. */
export const sealName = (name: string) => `brokered ${name}`;

interface CredentialRow extends Omit<CredentialView, 'grants'> {}
interface GrantRow {
  credential: string;
  agent: string;
  scope: GrantScope;
  expiresAt: string | null;
  grantedBy: string;
  grantedAt: string;
  live: boolean;
}

export async function listCredentials(database: Queryable): Promise<CredentialView[]> {
  const rows = await database.many<CredentialRow>(
    sql`SELECT name, host, port, header, insecure, key_id AS "keyId", created_by AS "createdBy",
          created_at AS "createdAt", rotated_at AS "rotatedAt", last_used_at AS "lastUsedAt"
        FROM brokered_credentials ORDER BY name`,
  );
  const grants = await database.many<GrantRow>(
    sql`SELECT credential, agents.name AS agent, credential_grants.scope, expires_at AS "expiresAt",
          granted_by AS "grantedBy", granted_at AS "grantedAt", coalesce(expires_at > now(), true) AS live
        FROM credential_grants JOIN agents ON agents.id = agent_id ORDER BY agents.name`,
  );
  return rows.map((row) => ({
    ...row,
    grants: grants.flatMap(({ credential, ...grant }) => (credential === row.name ? [grant] : [])),
  }));
}

/** @throws AppError not_found */
export async function getCredential(database: Queryable, name: string): Promise<CredentialView> {
  const found = (await listCredentials(database)).find((credential) => credential.name === name);
  if (found !== undefined) return found;
  throw unknownCredential(name);
}

/** @throws AppError conflict where the name is taken */
export async function createCredential(
  { database, vault }: CredentialContext,
  actor: Actor,
  body: CreateCredentialBody,
): Promise<CredentialView> {
  const { name, host, port, header, insecure, value } = body;
  const { sealed, keyId } = vault.seal(sealName(name), value);
  return database.transaction('credentials.create', async (transaction) => {
    const made = await transaction.maybe(
      sql`INSERT INTO brokered_credentials (name, host, port, header, insecure, sealed, key_id, created_by)
          VALUES (${name}, ${host}, ${port}, ${header}, ${insecure}, ${sealed}, ${keyId}, ${actor.name})
          ON CONFLICT (name) DO NOTHING RETURNING name`,
    );
    if (made === undefined) {
      throw new AppError(
        'conflict',
        `There is a credential ${name} already: rotate it (mission credential rotate ${name}), or choose another name.`,
      );
    }
    await tell(transaction, actor, 'credential.created', name, { host, port });
    return getCredential(transaction, name);
  });
}

/** The new secret is used from the next call on. @throws AppError not_found */
export async function rotateCredential(
  { database, vault }: CredentialContext,
  actor: Actor,
  name: string,
  value: string,
): Promise<CredentialView> {
  const { sealed, keyId } = vault.seal(sealName(name), value);
  return database.transaction('credentials.rotate', async (transaction) => {
    const row = await transaction.maybe(
      sql`UPDATE brokered_credentials SET sealed = ${sealed}, key_id = ${keyId}, rotated_at = now()
          WHERE name = ${name} RETURNING name`,
    );
    if (row === undefined) throw unknownCredential(name);
    await tell(transaction, actor, 'credential.rotated', name, {});
    return getCredential(transaction, name);
  });
}

/** @returns what it was. @throws AppError not_found */
export async function removeCredential(
  database: Database,
  actor: Actor,
  name: string,
): Promise<CredentialView> {
  return database.transaction('credentials.remove', async (transaction) => {
    await lockCredential(transaction, name);
    const was = await getCredential(transaction, name);
    await transaction.many(sql`DELETE FROM brokered_credentials WHERE name = ${name}`);
    await tell(transaction, actor, 'credential.removed', name, {});
    return was;
  });
}

/** Gives a credential to an agent, or gives it anew with another scope or end. @throws AppError not_found, unprocessable */
export async function grantCredential(
  database: Database,
  actor: Actor,
  name: string,
  { agent, scope, expiresAt }: GrantBody,
): Promise<CredentialView> {
  return database.transaction('credentials.grant', async (transaction) => {
    await lockCredential(transaction, name);
    const { id } = await requireAgent(transaction, agent);
    const past = await transaction.one<{ past: boolean }>(
      sql`SELECT coalesce(${expiresAt}::timestamptz <= now(), false) AS past`,
    );
    if (past.past) throw new AppError('unprocessable', `expiresAt ${expiresAt} is in the past.`);
    await transaction.many(
      sql`INSERT INTO credential_grants (credential, agent_id, scope, expires_at, granted_by)
          VALUES (${name}, ${id}, ${scope}, ${expiresAt}::timestamptz, ${actor.name})
          ON CONFLICT (credential, agent_id) DO UPDATE SET scope = excluded.scope,
            expires_at = excluded.expires_at, granted_by = excluded.granted_by, granted_at = now()`,
    );
    await tell(transaction, actor, 'credential.granted', name, { agent, scope, expiresAt });
    return getCredential(transaction, name);
  });
}

/** The next call goes without it. @throws AppError not_found */
export async function revokeGrant(
  database: Database,
  actor: Actor,
  name: string,
  agent: string,
): Promise<CredentialView> {
  return database.transaction('credentials.revoke', async (transaction) => {
    await lockCredential(transaction, name);
    const { id } = await requireAgent(transaction, agent);
    const row = await transaction.maybe(
      sql`DELETE FROM credential_grants WHERE credential = ${name} AND agent_id = ${id} RETURNING agent_id`,
    );
    if (row === undefined) throw new AppError('not_found', `${name} is not granted to ${agent}.`);
    await tell(transaction, actor, 'credential.revoked', name, { agent });
    return getCredential(transaction, name);
  });
}

async function lockCredential(transaction: Transaction, name: string): Promise<void> {
  const row = await transaction.maybe(
    sql`SELECT name FROM brokered_credentials WHERE name = ${name} FOR UPDATE`,
  );
  if (row === undefined) throw unknownCredential(name);
}

async function requireAgent(transaction: Transaction, agent: string): Promise<{ id: string }> {
  const found = await findAgent(transaction, agent);
  if (found !== undefined) return found;
  throw new AppError('not_found', `There is no agent ${agent}.`);
}

function unknownCredential(name: string): AppError {
  return new AppError(
    'not_found',
    `There is no credential ${name}; list them with \`mission credential list\`.`,
  );
}

async function tell(
  transaction: Transaction,
  actor: Actor,
  type: Extract<EventType, `credential.${string}`>,
  name: string,
  data: Record<string, unknown>,
): Promise<void> {
  await appendEvents(transaction, [
    { type, entityType: 'credential', entityId: name, actor: actor.name, data: { name, ...data } },
  ]);
}
