import { z } from 'zod';
import {
  createCredentialBody,
  credentialName,
  credentialView,
  grantBody,
  resealView,
  rotateCredentialBody,
} from '../../../contract/credentials.ts';
import {
  createCredential,
  getCredential,
  grantCredential,
  listCredentials,
  removeCredential,
  revokeGrant,
  rotateCredential,
} from '../../domain/credentials/brokered.ts';
import { resealAll } from '../../domain/credentials/reseal.ts';
import { may } from '../access.ts';
import { listOf } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** No answer here holds a secret: it is given once, and only the proxy ever reads it again. */
export function credentialRoutes(routes: Routes, { database, secrets }: HttpParts): void {
  const { vault } = secrets;
  const params = z.object({ name: credentialName });
  const manage = may('credentials:manage');

  routes.get(
    '/credentials',
    { config: may('credentials:read'), schema: { response: { 200: listOf(credentialView) } } },
    async () => ({ items: await listCredentials(database) }),
  );

  routes.post(
    '/credentials',
    { config: manage, schema: { body: createCredentialBody, response: { 201: credentialView } } },
    async (request, reply) => {
      const { name, value } = request.body;
      secrets.expect({ name, value });
      const made = await createCredential({ database, vault }, request.actor, request.body);
      return reply.status(201).send(made);
    },
  );

  routes.post(
    '/credentials/reseal',
    { config: manage, schema: { response: { 200: resealView } } },
    (request) => resealAll(database, vault, request.actor),
  );

  routes.get(
    '/credentials/:name',
    { config: may('credentials:read'), schema: { params, response: { 200: credentialView } } },
    (request) => getCredential(database, request.params.name),
  );

  routes.put(
    '/credentials/:name/value',
    { config: manage, schema: { params, body: rotateCredentialBody, response: { 200: credentialView } } },
    (request) => {
      const { name } = request.params;
      const { value } = request.body;
      secrets.expect({ name, value });
      return rotateCredential({ database, vault }, request.actor, name, value);
    },
  );

  routes.delete(
    '/credentials/:name',
    { config: manage, schema: { params, response: { 200: credentialView } } },
    (request) => removeCredential(database, request.actor, request.params.name),
  );

  routes.put(
    '/credentials/:name/grants',
    { config: manage, schema: { params, body: grantBody, response: { 200: credentialView } } },
    (request) => grantCredential(database, request.actor, request.params.name, request.body),
  );

  routes.delete(
    '/credentials/:name/grants/:agent',
    {
      config: manage,
      schema: {
        params: params.extend({ agent: z.string().min(1).max(100) }),
        response: { 200: credentialView },
      },
    },
    ({ actor, params: { name, agent } }) => revokeGrant(database, actor, name, agent),
  );
}
