import { loginLink, redeemBody, sessionView } from '../../../contract/sessions.ts';
import {
  createLoginToken,
  endSession,
  redeemLoginToken,
  sessionSeconds,
} from '../../domain/principals/sessions.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import { readSession, readSessionSecret, sessionCookie } from '../authentication.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** Beginning a session needs no key: the one-time token is the proof. */
export function openSessionRoutes(routes: Routes, parts: HttpParts): void {
  const { database, version } = parts;

  routes.post(
    '/session',
    { config: may('open'), schema: { body: redeemBody, response: { 200: sessionView } } },
    async (request, reply) => {
      const { actor, csrf, secret } = await redeemLoginToken(database, request.body.token);
      void reply.header('set-cookie', cookie(secret, sessionSeconds));
      return { principal: { name: actor.name, role: actor.role }, csrf, version };
    },
  );
}

export function sessionRoutes(routes: Routes, parts: HttpParts): void {
  const { database, version } = parts;

  routes.get(
    '/session',
    { config: may('session:own'), schema: { response: { 200: sessionView } } },
    async (request) => {
      const session = await readSession(database, request);
      if (session === undefined) throw new AppError('not_found', 'You came with a key; there is no session.');
      return {
        principal: { name: session.actor.name, role: session.actor.role },
        csrf: session.csrf,
        version,
      };
    },
  );

  routes.delete('/session', { config: may('session:own') }, async (request, reply) => {
    const secret = readSessionSecret(request);
    if (secret !== undefined) await endSession(database, secret);
    return reply.status(204).header('set-cookie', cookie('', 0)).send();
  });

  routes.post(
    '/login-links',
    { config: may('session:own'), schema: { response: { 201: loginLink } } },
    async (request, reply) => {
      const { token, expiresAt } = await createLoginToken(database, request.actor);
      const url = `${request.protocol}://${request.headers.host ?? ''}/login#token=${token}`;
      return reply.status(201).send({ url, expiresAt });
    },
  );
}

function cookie(secret: string, seconds: number): string {
  return `${sessionCookie}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
}
