import { z } from 'zod';
import { setPasswordBody } from '../../../contract/principals.ts';
import { beginSessionBody, loginLink, sessionView } from '../../../contract/sessions.ts';
import {
  type BegunSession,
  createLoginToken,
  endSession,
  logIn,
  redeemLoginToken,
  sessionSeconds,
} from '../../domain/principals/sessions.ts';
import { setPassword } from '../../domain/principals/set-password.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import { readSession, sessionCookie } from '../authentication.ts';
import { idParams } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** Beginning a session needs no key: the one-time token, or the password, is the proof. */
export function openSessionRoutes(routes: Routes, parts: HttpParts): void {
  const { database, version, limits, cookieKey } = parts;

  routes.post(
    '/session',
    { config: may('open'), schema: { body: beginSessionBody, response: { 200: sessionView } } },
    async (request, reply) => {
      const { body, ip } = request;
      limits.countLogin(ip, 'name' in body ? body.name : null);
      const begun: BegunSession =
        'token' in body
          ? await redeemLoginToken(database, body.token)
          : await logIn(database, body.name, body.password);
      const { actor, csrf, secret } = begun;
      limits.afterProof(ip, secret, true);
      void reply.header('set-cookie', sessionCookie(cookieKey, request, secret, sessionSeconds));
      return { principal: { name: actor.name, role: actor.role }, csrf, version };
    },
  );
}

export function sessionRoutes(routes: Routes, parts: HttpParts): void {
  const { database, version, cookieKey, edge } = parts;

  routes.get(
    '/session',
    { config: may('session:own'), schema: { response: { 200: sessionView } } },
    async (request) => {
      const session = request.actor.sessionId === null ? undefined : await readSession(parts, request);
      if (session === undefined) throw new AppError('not_found', 'You came with a key; there is no session.');
      return {
        principal: { name: session.actor.name, role: session.actor.role },
        csrf: session.csrf,
        version,
      };
    },
  );

  routes.delete(
    '/session',
    { config: may('session:own'), schema: { response: { 204: z.null() } } },
    async (request, reply) => {
      await endSession(database, request.actor);
      return reply
        .status(204)
        .header('set-cookie', sessionCookie(cookieKey, request, '', 0))
        .send(null);
    },
  );

  routes.put(
    '/principals/:id/password',
    {
      config: may('session:own'),
      schema: { params: idParams, body: setPasswordBody, response: { 204: z.null() } },
    },
    async ({ actor, params, body }, reply) => {
      await setPassword(database, actor, params.id, body);
      return reply.status(204).send(null);
    },
  );

  routes.post(
    '/login-links',
    {
      config: { ...may('session:own'), secretAnswer: true },
      schema: { response: { 201: loginLink } },
    },
    async (request, reply) => {
      const { token, expiresAt } = await createLoginToken(database, request.actor);
      const address = edge.publicUrl ?? `${request.protocol}://${request.host}`;
      return reply.status(201).send({ url: `${address}/login#token=${token}`, expiresAt });
    },
  );
}
