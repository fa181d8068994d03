import { createHash, randomBytes } from 'node:crypto';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import { type ActorRow, actorColumns, narrowActor, sessionLives, unseen } from './find-actor.ts';
import { isPassword } from './password.ts';
import { findRights, requireNoMore } from './rights.ts';

const linkMinutes = 15;
const sessionHours = 12;

export interface Session {
  actor: Actor;
  csrf: string;
}

export type BegunSession = Session & { secret: string };

/**
 * A token that begins one session of this principal, once, within a quarter of an hour. The session has all that
 * the principal has, so a narrower key gets none. @throws AppError forbidden
 */
export async function createLoginToken(
  database: Database,
  actor: Actor,
): Promise<{ token: string; expiresAt: string }> {
  requireNoMore(actor, await findRights(database, actor.id));
  const token = newSecret();
  const [row] = await database.write<{ expiresAt: string }>(
    'sessions.link',
    sql`INSERT INTO login_links (hash, principal_id, expires_at)
        VALUES (${hashOf(token)}, ${actor.id}, now() + make_interval(mins => ${linkMinutes}))
        RETURNING expires_at AS "expiresAt"`,
  );
  return { token, expiresAt: row?.expiresAt ?? '' };
}

/** Exchanges a token for a session. @throws AppError unauthenticated where it was used, mistyped, or is too old */
export async function redeemLoginToken(database: Database, token: string): Promise<BegunSession> {
  return database.transaction('sessions.begin', async (transaction) => {
    const link = await transaction.maybe<{ principalId: string }>(
      sql`DELETE FROM login_links WHERE hash = ${hashOf(token)} AND expires_at > now()
          RETURNING principal_id AS "principalId"`,
    );
    if (link === undefined) {
      throw new AppError(
        'unauthenticated',
        'This link was used already or is too old. Get a new one with: mission login',
      );
    }
    return beginSession(transaction, link.principalId, 'link');
  });
}

/** @throws AppError unauthenticated, alike for an unknown name and a wrong password, and in the same time */
export async function logIn(database: Database, name: string, password: string): Promise<BegunSession> {
  const found = await database.maybe<{ id: string; password: string }>(
    sql`SELECT id, password FROM principals
        WHERE name = ${name} AND kind = 'human' AND password IS NOT NULL AND disabled_at IS NULL`,
  );
  const good = await isPassword(password, found?.password ?? null);
  if (found === undefined || !good) {
    throw new AppError(
      'unauthenticated',
      'The name or the password is wrong. A link that needs neither: mission login',
    );
  }
  return database.transaction('sessions.begin', async (transaction) => {
    const still = await transaction.maybe(
      sql`SELECT id FROM principals WHERE id = ${found.id} AND password = ${found.password} FOR SHARE`,
    );
    if (still === undefined) throw new AppError('unauthenticated', 'The password was changed just now.');
    return beginSession(transaction, found.id, 'password');
  });
}

async function beginSession(
  transaction: Transaction,
  principalId: string,
  by: 'link' | 'password',
): Promise<BegunSession> {
  const secret = newSecret();
  const csrf = newSecret();
  const sessionId = newId('ses');
  const row = await transaction.maybe<ActorRow>(
    sql`SELECT ${actorColumns} FROM principals WHERE id = ${principalId} AND disabled_at IS NULL FOR SHARE`,
  );
  if (row === undefined) throw new AppError('unauthenticated', 'This principal is disabled.');
  await transaction.many(sql`DELETE FROM sessions WHERE expires_at < now()`);
  await transaction.many(
    sql`INSERT INTO sessions (id, hash, principal_id, csrf, expires_at)
        VALUES (${sessionId}, ${hashOf(secret)}, ${principalId}, ${csrf}, now() + make_interval(hours => ${sessionHours}))`,
  );
  const actor = narrowActor(row, { keyId: null, sessionId });
  await appendEvents(transaction, [sessionEvent('session.began', sessionId, actor.name, { by })]);
  return { actor, csrf, secret };
}

/** Reading keeps it alive: it ends half an hour after it was last used. */
export async function findSession(database: Database, secret: string): Promise<Session | undefined> {
  const row = await database.maybe<ActorRow & { csrf: string; sessionId: string; unseen: boolean }>(
    sql`SELECT ${actorColumns}, sessions.csrf, sessions.id AS "sessionId", ${unseen(sql`sessions.seen_at`)} AS unseen
        FROM sessions JOIN principals ON principals.id = sessions.principal_id
        WHERE sessions.hash = ${hashOf(secret)} AND ${sessionLives}`,
  );
  if (row === undefined) return undefined;
  if (row.unseen) {
    await database.write(
      'sessions.seen',
      sql`UPDATE sessions SET seen_at = now() WHERE id = ${row.sessionId} AND ${unseen(sql`seen_at`)}`,
    );
  }
  return { actor: narrowActor(row, { keyId: null, sessionId: row.sessionId }), csrf: row.csrf };
}

export async function endSession(database: Database, actor: Actor): Promise<void> {
  const { sessionId } = actor;
  if (sessionId === null) return;
  await database.transaction('sessions.end', async (transaction) => {
    const ended = await transaction.maybe(sql`DELETE FROM sessions WHERE id = ${sessionId} RETURNING id`);
    if (ended !== undefined)
      await appendEvents(transaction, [sessionEvent('session.ended', sessionId, actor.name, {})]);
  });
}

/** All sessions of a principal but one. */
export async function endSessions(
  transaction: Transaction,
  ending: { principalId: string; except: string | null; actor: string },
): Promise<void> {
  const ended = await transaction.many<{ id: string }>(
    sql`DELETE FROM sessions WHERE principal_id = ${ending.principalId} AND id IS DISTINCT FROM ${ending.except}
        RETURNING id`,
  );
  await transaction.many(sql`DELETE FROM login_links WHERE principal_id = ${ending.principalId}`);
  await appendEvents(
    transaction,
    ended.map(({ id }) => sessionEvent('session.ended', id, ending.actor, {})),
  );
}

export const sessionSeconds = sessionHours * 3_600;

function sessionEvent(
  type: 'session.began' | 'session.ended',
  entityId: string,
  actor: string,
  data: Record<string, unknown>,
): NewEvent {
  return { type, entityType: 'session', entityId, actor, data };
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
