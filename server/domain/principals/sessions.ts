import { createHash, randomBytes } from 'node:crypto';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import type { Actor } from '../actor.ts';

const linkMinutes = 15;
const sessionHours = 12;

export interface Session {
  actor: Actor;
  csrf: string;
}

/** A token that begins one session of this principal, once, within a quarter of an hour. */
export async function createLoginToken(
  database: Database,
  actor: Actor,
): Promise<{ token: string; expiresAt: string }> {
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
export async function redeemLoginToken(
  database: Database,
  token: string,
): Promise<Session & { secret: string }> {
  const secret = newSecret();
  const csrf = newSecret();
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
    await transaction.many(sql`DELETE FROM sessions WHERE expires_at < now()`);
    await transaction.many(
      sql`INSERT INTO sessions (hash, principal_id, csrf, expires_at)
          VALUES (${hashOf(secret)}, ${link.principalId}, ${csrf}, now() + make_interval(hours => ${sessionHours}))`,
    );
    const actor = await transaction.one<Actor>(
      sql`SELECT id, name, role FROM principals WHERE id = ${link.principalId}`,
    );
    return { actor, csrf, secret };
  });
}

export async function findSession(database: Database, secret: string): Promise<Session | undefined> {
  const row = await database.maybe<Actor & { csrf: string }>(
    sql`SELECT principals.id, principals.name, principals.role, sessions.csrf FROM sessions
        JOIN principals ON principals.id = sessions.principal_id
        WHERE sessions.hash = ${hashOf(secret)} AND sessions.expires_at > now()`,
  );
  if (row === undefined) return undefined;
  const { csrf, ...actor } = row;
  return { actor, csrf };
}

export async function endSession(database: Database, secret: string): Promise<void> {
  await database.write('sessions.end', sql`DELETE FROM sessions WHERE hash = ${hashOf(secret)}`);
}

export const sessionSeconds = sessionHours * 3_600;

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
