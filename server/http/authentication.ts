import type { FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import { findPrincipalByKey } from '../domain/principals/principals.ts';
import { AppError } from '../errors.ts';

/** @throws AppError unauthenticated */
export async function authenticate(database: Database, request: FastifyRequest): Promise<Actor> {
  const header = request.headers.authorization;
  const key = header?.match(/^Bearer ([\w-]{20,200})$/)?.[1];
  const actor = key === undefined ? undefined : await findPrincipalByKey(database, key);
  if (actor === undefined) {
    throw new AppError(
      'unauthenticated',
      header === undefined
        ? 'Send your key as "Authorization: Bearer KEY"; on the server\'s machine it is in MISSION_HOME/cli.json.'
        : 'The key is not valid: it was mistyped, revoked, or made for another server.',
    );
  }
  return actor;
}

/**
 * Refuses a Host that is not ours and a page of another origin: a name that was made to point at this machine
 * must not reach the API, on loopback as well.
 * @throws AppError foreign_host
 */
export function refuseForeignHost(request: FastifyRequest, ownHosts: ReadonlySet<string>): void {
  const host = request.headers.host ?? '';
  if (!ownHosts.has(nameOf(host))) {
    throw new AppError('foreign_host', `This server does not answer for the host "${host}".`);
  }
  const { origin } = request.headers;
  if (origin !== undefined && !ownHosts.has(nameOf(origin.replace(/^https?:\/\//, '')))) {
    throw new AppError('foreign_host', `Pages of ${origin} may not use this server.`);
  }
}

function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}
