import { createHash, randomBytes } from 'node:crypto';
import type { Database, Queryable } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, fullActor } from '../actor.ts';
import { type ActorRow, actorColumns, keyColumns, keyLives, narrowActor, unseen } from './find-actor.ts';

/** The principal whose live key this is, with what the key allows, or undefined. Keys are stored as SHA-256 only. */
export async function findPrincipalByKey(database: Database, key: string): Promise<Actor | undefined> {
  const row = await database.maybe<ActorRow & { keyId: string; unseen: boolean }>(
    sql`SELECT ${actorColumns}, ${keyColumns}, ${unseen(sql`api_keys.last_used_at`)} AS unseen
        FROM api_keys JOIN principals ON principals.id = api_keys.principal_id
        WHERE api_keys.hash = ${hashKey(key)} AND ${keyLives}`,
  );
  if (row === undefined) return undefined;
  if (row.unseen) {
    await database.write(
      'keys.seen',
      sql`UPDATE api_keys SET last_used_at = now()
          WHERE id = ${row.keyId} AND ${unseen(sql`last_used_at`)}`,
    );
  }
  return narrowActor(row, { keyId: row.keyId, sessionId: null });
}

/**
 * Makes sure that the owner exists, and gives them a fresh key for one place; the keys made for it before are
 * revoked, those of other places live on.
 * @returns the key, and whether the owner was made just now
 */
export async function issueOwnerKey(
  database: Database,
  label: string,
): Promise<{ key: string; owner: Actor; first: boolean }> {
  const key = `mc_${randomBytes(32).toString('base64url')}`;
  return database.transaction('principals.owner', async (transaction) => {
    const made = await transaction.maybe(
      sql`INSERT INTO principals (id, kind, name, role) VALUES (${newId('prn')}, 'human', 'owner', 'admin')
          ON CONFLICT (name) DO NOTHING RETURNING id`,
    );
    const owner = fullActor(
      await transaction.one<Pick<Actor, 'id' | 'name' | 'role'>>(
        sql`SELECT id, name, role FROM principals WHERE name = 'owner' FOR UPDATE`,
      ),
    );
    const revoked = await transaction.many<{ id: string }>(
      sql`UPDATE api_keys SET revoked_at = now()
          WHERE principal_id = ${owner.id} AND label = ${label} AND revoked_at IS NULL RETURNING id`,
    );
    const keyId = newId('key');
    await transaction.many(
      sql`INSERT INTO api_keys (id, principal_id, hash, label, created_by)
          VALUES (${keyId}, ${owner.id}, ${hashKey(key)}, ${label}, 'control-plane')`,
    );
    const data = { principal: owner.name, label };
    await appendEvents(transaction, [
      ...revoked.map(({ id }) => keyEvent('key.revoked', id, data)),
      keyEvent('key.created', keyId, data),
    ]);
    return { key, owner, first: made !== undefined };
  });
}

function keyEvent(
  type: 'key.created' | 'key.revoked',
  entityId: string,
  data: Record<string, unknown>,
): NewEvent {
  return { type, entityType: 'key', entityId, actor: 'control-plane', data };
}

export interface AgentProfile {
  name: string;
  role: string;
  prompt: string;
  model: string;
  /** What its runs go on with, in this order, where the model cannot be used. */
  fallbackModels?: string[];
  playbook: string;
  policy: unknown;
}

/** Registers an agent, or brings its profile up to date. */
export async function registerAgent(database: Database, profile: AgentProfile): Promise<void> {
  await database.transaction('agents.register', async (transaction) => {
    const id = newId('agt');
    const made = await transaction.maybe(
      sql`INSERT INTO principals (id, kind, name, role) VALUES (${id}, 'agent', ${profile.name}, 'agent')
          ON CONFLICT (name) DO NOTHING RETURNING id`,
    );
    await transaction.many(
      sql`INSERT INTO agents (id, name, role, prompt, model, fallback_models, playbook, policy)
          SELECT id, name, ${profile.role}, ${profile.prompt}, ${profile.model},
            ${json(profile.fallbackModels ?? [])}, ${profile.playbook}, ${json(profile.policy)} FROM principals WHERE name = ${profile.name}
          ON CONFLICT (name) DO UPDATE SET role = excluded.role, prompt = excluded.prompt, model = excluded.model,
            fallback_models = excluded.fallback_models, playbook = excluded.playbook, policy = excluded.policy`,
    );
    if (made !== undefined) {
      await appendEvents(transaction, [
        {
          type: 'agent.registered',
          entityType: 'agent',
          entityId: id,
          actor: 'control-plane',
          data: { name: profile.name },
        },
      ]);
    }
  });
}

export interface AgentRow extends AgentProfile {
  id: string;
}

export async function findAgent(database: Queryable, nameOrId: string): Promise<AgentRow | undefined> {
  return database.maybe<AgentRow>(sql`SELECT * FROM agents WHERE name = ${nameOrId} OR id = ${nameOrId}`);
}

export async function listAgentNames(database: Queryable): Promise<string[]> {
  const rows = await database.many<{ name: string }>(sql`SELECT name FROM agents ORDER BY name`);
  return rows.map((row) => row.name);
}

export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
