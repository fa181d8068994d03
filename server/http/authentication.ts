import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import { findPrincipalByKey } from '../domain/principals/principals.ts';
import { findSession, type Session } from '../domain/principals/sessions.ts';
import { AppError } from '../errors.ts';
import type { RateLimits } from './rate-limits.ts';

export interface Authentication {
  database: Database;
  limits: RateLimits;
  /** Signs the page's cookie; the same in every process. */
  cookieKey: Buffer;
}

/** Who asks: by key, or by the page's cookie; with the cookie a change needs the session's CSRF token. */
export async function authenticate(parts: Authentication, request: FastifyRequest): Promise<Actor> {
  const actor = await findActor(parts, request);
  parts.limits.countRequest(actor.id);
  return actor;
}

async function findActor(parts: Authentication, request: FastifyRequest): Promise<Actor> {
  const header = request.headers.authorization;
  if (header !== undefined) return authenticateKey(parts, request, header);
  const session = await readSession(parts, request);
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

/** The session of the page's cookie, if it has a live one. @throws AppError rate_limited */
export async function readSession(
  parts: Authentication,
  request: FastifyRequest,
): Promise<Session | undefined> {
  const secret = readSessionSecret(parts.cookieKey, request);
  if (secret === undefined) {
    parts.limits.countNameless(request.ip);
    return undefined;
  }
  parts.limits.beforeProof(request.ip, secret);
  const session = await findSession(parts.database, secret);
  parts.limits.afterProof(request.ip, secret, session !== undefined);
  return session;
}

const cookieName = 'mission_session';

/** What the cookie holds, where we signed it; another's is not worth looking for. */
export function readSessionSecret(cookieKey: Buffer, request: FastifyRequest): string | undefined {
  const cookies = (request.headers.cookie ?? '').split(/;\s*/);
  const own = cookies.find((cookie) => cookie.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1);
  const [secret = '', signature = ''] = own?.split('.') ?? [];
  return secret !== '' && isEqual(signature, sign(cookieKey, secret)) ? secret : undefined;
}

/** The cookie's text: for this server alone, unreadable to scripts, over TLS only where there is TLS. */
export function sessionCookie(
  cookieKey: Buffer,
  request: FastifyRequest,
  secret: string,
  seconds: number,
): string {
  const value = secret === '' ? '' : `${secret}.${sign(cookieKey, secret)}`;
  const secure = request.protocol === 'https' ? '; Secure' : '';
  return `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

async function authenticateKey(
  { database, limits }: Authentication,
  request: FastifyRequest,
  header: string,
): Promise<Actor> {
  const key = header.match(/^Bearer ([\w-]{20,200})$/)?.[1];
  limits.beforeProof(request.ip, header);
  const actor = key === undefined ? undefined : await findPrincipalByKey(database, key);
  limits.afterProof(request.ip, header, actor !== undefined);
  if (actor !== undefined) return actor;
  throw new AppError(
    'unauthenticated',
    'The key is not valid: it was mistyped, revoked, has expired, or was made for another server.',
  );
}

function sign(cookieKey: Buffer, secret: string): string {
  return createHmac('sha256', cookieKey).update(secret).digest('base64url');
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
