import { randomBytes } from 'node:crypto';
import { type Permission, permissionsOf } from '../../../contract/permissions.ts';
import type { CreatedKey, CreateKeyBody, KeyView, PrincipalView } from '../../../contract/principals.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { getPrincipal, insertPrincipal } from './change-principals.ts';
import { hashKey } from './principals.ts';
import { requireNoMore, resolveProjects, rightsOf } from './rights.ts';

const columns = sql`api_keys.id, json_build_object('id', principals.id, 'name', principals.name, 'role', principals.role)
    AS principal, api_keys.label, api_keys.scopes, api_keys.projects, api_keys.created_by AS "createdBy",
  api_keys.created_at AS "createdAt", api_keys.expires_at AS "expiresAt", api_keys.last_used_at AS "lastUsedAt",
  api_keys.revoked_at AS "revokedAt"`;
const tables = sql`api_keys JOIN principals ON principals.id = api_keys.principal_id`;

/** One's own keys, or all that the actor may manage; revoked and expired ones only where asked for. */
export async function listKeys(
  database: Queryable,
  actor: Actor,
  filter: { principal?: string | undefined; all: boolean },
): Promise<KeyView[]> {
  const manages = actor.permissions.includes('principals:manage');
  const wanted =
    filter.principal === undefined ? undefined : (await keyHolder(database, actor, filter.principal)).id;
  const rows = await database.many<KeyView & { ownProjects: boolean }>(
    sql`SELECT ${columns} FROM ${tables} WHERE true
        ${manages ? empty : sql`AND principals.id = ${actor.id}`}
        ${wanted === undefined ? empty : sql`AND principals.id = ${wanted}`}
        ${filter.all ? empty : sql`AND api_keys.revoked_at IS NULL AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now())`}
        ${
          actor.projects === null
            ? empty
            : sql`AND (principals.id = ${actor.id} OR (NOT principals.all_projects AND NOT EXISTS (
                SELECT 1 FROM principal_projects WHERE principal_id = principals.id
                  AND project_id <> ALL(${actor.projects}::text[]))))`
        }
        ORDER BY api_keys.id DESC LIMIT 1000`,
  );
  return rows;
}

/**
 * Makes a key: for the actor, for another principal, or for a new service. It never holds more than the actor
 * does through the key or session that asks, nor lives longer than that key.
 * @throws AppError not_found, forbidden, unprocessable, conflict
 */
export async function createKey(database: Database, actor: Actor, body: CreateKeyBody): Promise<CreatedKey> {
  return database.transaction('keys.create', async (transaction) => {
    const holder = await holderOf(transaction, actor, body);
    if (holder.disabled) throw new AppError('wrong_state', `${holder.name} is disabled; enable it first`);
    const scopes = scopesOf(actor, holder, body.scopes);
    const projects = await projectsOf(transaction, actor, holder, body);
    requireNoMore(actor, {
      permissions: scopes ?? permissionsOf(holder.role, projects ?? holder.projects),
      projects: projects ?? holder.projects,
    });
    const key = `mc_${randomBytes(32).toString('base64url')}`;
    const id = newId('key');
    const label = body.label ?? body.name ?? 'made by hand';
    await transaction.many(
      sql`INSERT INTO api_keys (id, principal_id, hash, label, scopes, projects, created_by, parent_id, expires_at)
          VALUES (${id}, ${holder.id}, ${hashKey(key)}, ${label}, ${scopes}::text[], ${projects}::text[], ${actor.name},
            ${holder.id === actor.id ? actor.keyId : null},
            least(now() + make_interval(secs => ${body.expiresInSeconds ?? null}::double precision),
              (SELECT expires_at FROM api_keys WHERE id = ${actor.keyId}))) `,
    );
    await appendEvents(transaction, [
      {
        type: 'key.created',
        entityType: 'key',
        entityId: id,
        actor: actor.name,
        data: { principal: holder.name, label, scopes, projects },
      },
    ]);
    const view = await transaction.one<KeyView>(
      sql`SELECT ${columns} FROM ${tables} WHERE api_keys.id = ${id}`,
    );
    return { ...view, key };
  });
}

/**
 * Revokes a key, and those of the same principal that were made with it; a revoked one stays so.
 * @throws AppError not_found
 */
export async function revokeKey(database: Database, actor: Actor, id: string): Promise<void> {
  await database.transaction('keys.revoke', async (transaction) => {
    const found = await transaction.maybe<{ principalId: string }>(
      sql`SELECT principal_id AS "principalId" FROM api_keys WHERE id = ${id}`,
    );
    if (found === undefined) throw unknownKey(id);
    const holder = await findHolder(transaction, actor, found.principalId);
    if (holder === undefined) throw unknownKey(id);
    if (holder.id !== actor.id) requireNoMore(actor, rightsOf(holder.role, holder.projects));
    const revoked = await transaction.many<{ id: string; label: string }>(
      sql`WITH RECURSIVE fallen AS (
            SELECT id FROM api_keys WHERE id = ${id}
            UNION SELECT api_keys.id FROM api_keys JOIN fallen ON api_keys.parent_id = fallen.id
          )
          UPDATE api_keys SET revoked_at = now() WHERE id IN (SELECT id FROM fallen) AND revoked_at IS NULL
          RETURNING id, label`,
    );
    await appendEvents(
      transaction,
      revoked.map((key) => ({
        type: 'key.revoked' as const,
        entityType: 'key' as const,
        entityId: key.id,
        actor: actor.name,
        data: { principal: holder.name, label: key.label },
      })),
    );
  });
}

/** Whose keys the actor may look at and make: their own, and with `principals:manage` those of others. */
async function findHolder(
  database: Queryable,
  actor: Actor,
  idOrName: string,
): Promise<PrincipalView | undefined> {
  try {
    return await keyHolder(database, actor, idOrName);
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return undefined;
    throw error;
  }
}

async function keyHolder(database: Queryable, actor: Actor, idOrName: string): Promise<PrincipalView> {
  const own = idOrName === actor.id || idOrName === actor.name;
  // Somebody who manages nobody is not told who there is.
  if (!own && !actor.permissions.includes('principals:manage')) {
    throw new AppError('not_found', `there is no principal ${idOrName} whose keys you may make`);
  }
  return getPrincipal(database, actor, idOrName);
}

async function holderOf(transaction: Transaction, actor: Actor, body: CreateKeyBody): Promise<PrincipalView> {
  if (body.role === undefined) return keyHolder(transaction, actor, body.principal ?? actor.id);
  requirePermission(actor, 'principals:manage');
  return insertPrincipal(transaction, actor, {
    kind: 'service',
    name: body.name ?? `${body.role}-${newId('prn').slice(-8)}`,
    role: body.role,
    projects: body.projects ?? actor.projects?.slice() ?? null,
  });
}

/** What is not asked for is all of the role, or where the asking key itself is narrowed, all of that. */
function scopesOf(
  actor: Actor,
  holder: PrincipalView,
  asked: readonly Permission[] | undefined,
): readonly Permission[] | null {
  const full = permissionsOf(holder.role, holder.projects);
  const beyond = asked?.filter((one) => !full.includes(one)) ?? [];
  if (beyond.length > 0) {
    throw new AppError(
      'unprocessable',
      `The role ${holder.role} does not have ${beyond.join(', ')}: a key holds a part of what its principal may do.`,
    );
  }
  if (asked !== undefined) return asked;
  const left = full.filter((one) => actor.permissions.includes(one));
  return left.length === full.length ? null : left;
}

async function projectsOf(
  transaction: Transaction,
  actor: Actor,
  holder: PrincipalView,
  body: CreateKeyBody,
): Promise<readonly string[] | null> {
  // A new service has its projects itself.
  if (body.role !== undefined) return null;
  if (body.projects !== undefined) return resolveProjects(transaction, actor, body.projects);
  return holder.projects === null ? actor.projects : null;
}

const unknownKey = (id: string) =>
  new AppError('not_found', `there is no key ${id}; list them with GET /keys`);
