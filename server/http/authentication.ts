import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import { findPrincipalByKey } from '../domain/principals/principals.ts';
import { findSession, type Session } from '../domain/principals/sessions.ts';
import { AppError } from '../errors.ts';

export const sessionCookie = 'mission_session';

/** Who asks: by key, or by the page's cookie; with the cookie a change needs the session's CSRF token. */
export async function authenticate(database: Database, request: FastifyRequest): Promise<Actor> {
  const header = request.headers.authorization;
  if (header !== undefined) return authenticateKey(database, header);
  const session = await readSession(database, request);
  if (session === undefined) {
    throw new AppError(
      'unauthenticated',
      'Send your key as "Authorization: Bearer KEY" (on the server\'s machine it is in MISSION_HOME/cli.json), or log in with the link of: mission login',
    );
  }
  const changes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
  if (changes && !isEqual(String(request.headers['x-mission-csrf'] ?? ''), session.csrf)) {
    throw new AppError(
      'forbidden',
      'The header x-mission-csrf must hold the token of GET /api/v1/session. Reload the page.',
    );
  }
  return session.actor;
}

/** The session of the page's cookie, if it has a live one. */
export async function readSession(database: Database, request: FastifyRequest): Promise<Session | undefined> {
  const secret = readSessionSecret(request);
  return secret === undefined ? undefined : findSession(database, secret);
}

export function readSessionSecret(request: FastifyRequest): string | undefined {
  const cookies = (request.headers.cookie ?? '').split(/;\s*/);
  const own = cookies.find((cookie) => cookie.startsWith(`${sessionCookie}=`));
  return own?.slice(sessionCookie.length + 1);
}

async function authenticateKey(database: Database, header: string): Promise<Actor> {
  const key = header.match(/^Bearer ([\w-]{20,200})$/)?.[1];
  const actor = key === undefined ? undefined : await findPrincipalByKey(database, key);
  if (actor === undefined) {
    throw new AppError(
      'unauthenticated',
      'The key is not valid: it was mistyped, revoked, or made for another server.',
    );
  }
  return actor;
}

/**
 * Refuses a Host that is not ours and a page of another origin: a name that was made to point at this machine
 * must not reach the API, on loopback as well, over HTTP as over WebSocket.
 * @throws AppError foreign_host
 */
export function refuseForeignHost(request: FastifyRequest, ownHosts: ReadonlySet<string>): void {
  const host = request.headers.host ?? '';
  if (!ownHosts.has(nameOf(host))) {
    throw new AppError('foreign_host', `This server does not answer for the host "${host}".`);
  }
  const { origin } = request.headers;
  if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== host) {
    throw new AppError('foreign_host', `Pages of ${origin} may not use this server.`);
  }
}

function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
