import type { FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  type CreatedHook,
  createdHook,
  createHookBody,
  hookDeliveryStatus,
  hookDeliveryView,
  hookReceipt,
  hookView,
  mostHookBytes,
  rotateHookBody,
  updateHookBody,
} from '../../../contract/hooks.ts';
import {
  DeliveryRefused,
  listHookDeliveries,
  receiveDelivery,
  recordRefusal,
} from '../../domain/hooks/deliveries.ts';
import {
  createHook,
  getHook,
  type HookContext,
  listHooks,
  removeHook,
  rotateHookSecret,
  updateHook,
} from '../../domain/hooks/hooks.ts';
import { messageOf } from '../../errors.ts';
import { may } from '../access.ts';
import { expectedVersion } from '../etag.ts';
import { readJson } from '../json-bodies.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

const contextOf = ({ database, present, defaults, now, secrets }: HttpParts): HookContext => ({
  database,
  present,
  defaults,
  now,
  vault: secrets.vault,
});

/** Where others deliver: the signature of the bytes is the proof, and no key or session is looked at. */
export function openHookRoutes(routes: Routes, parts: HttpParts): void {
  const { database, artifacts, limits, log } = parts;
  const context = { ...contextOf(parts), artifacts };
  const refusals = new WeakMap<FastifyRequest, string>();
  const recording = new Set<Promise<void>>();

  void routes.register((plain, _options, done) => {
    const scope = plain.withTypeProvider<ZodTypeProvider>();
    scope.addHook('onRequest', async ({ ip, params }) => limits.countDelivery(ip, idParams.parse(params).id));
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    scope.post(
      '/hooks/:id/deliveries',
      {
        config: { ...may('open'), consumes: 'application/json' },
        bodyLimit: mostHookBytes,
        schema: { params: idParams, response: { 202: hookReceipt } },
      },
      async (request, reply) => {
        const { body, headers, ip, params } = request;
        try {
          const receipt = await receiveDelivery(context, {
            hook: params.id,
            headers,
            body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
            read: readJson,
            admit: (hook) => limits.countSigned(hook),
          });
          return reply.status(202).send(receipt);
        } catch (error) {
          if (!(error instanceof DeliveryRefused)) throw error;
          if (error.code === 'unauthenticated') limits.countForgery(ip, params.id);
          refusals.set(request, error.reason);
          throw error;
        }
      },
    );
    // After the answer, so that its time tells nobody whether there is such a hook.
    scope.addHook('onResponse', async (request) => {
      const reason = refusals.get(request);
      if (reason === undefined) return;
      const { id } = idParams.parse(request.params);
      const recorded = recordRefusal(database, id, reason).catch((error: unknown) =>
        log.warn({ hook: id, reason, error: messageOf(error) }, 'a refused delivery was not recorded'),
      );
      recording.add(recorded);
      await recorded;
      recording.delete(recorded);
    });
    scope.addHook('onClose', async () => void (await Promise.all(recording)));
    done();
  });
}

export function hookRoutes(routes: Routes, parts: HttpParts): void {
  const { database, secrets } = parts;
  const context = contextOf(parts);
  const config = may('hooks:manage');
  const keepSecret = (hook: CreatedHook): CreatedHook => {
    secrets.expect({ name: `the secret of the hook ${hook.name}`, value: hook.secret });
    return hook;
  };

  routes.post(
    '/hooks',
    {
      config: { ...config, secretAnswer: true },
      schema: { body: createHookBody, response: { 201: createdHook } },
    },
    async ({ actor, body }, reply) =>
      reply.status(201).send(keepSecret(await createHook(context, actor, body))),
  );

  routes.get(
    '/hooks',
    { config, schema: { querystring: z.object(pageQuery), response: { 200: pageOf(hookView) } } },
    ({ actor, query }) => readPage(query, (page) => listHooks(database, actor, page)),
  );

  routes.get(
    '/hooks/:id',
    { config, schema: { params: idParams, response: { 200: hookView } } },
    ({ actor, params }) => getHook(database, actor, params.id),
  );

  routes.patch(
    '/hooks/:id',
    {
      config: { ...config, ifMatch: true },
      schema: { params: idParams, body: updateHookBody, response: { 200: hookView } },
    },
    (request) =>
      updateHook(context, request.actor, request.params.id, request.body, expectedVersion(request)),
  );

  routes.delete(
    '/hooks/:id',
    { config, schema: { params: idParams, response: { 204: z.null() } } },
    async ({ actor, params }, reply) => {
      await removeHook(database, actor, params.id);
      return reply.status(204).send(null);
    },
  );

  routes.post(
    '/hooks/:id/rotate-secret',
    {
      config: { ...config, secretAnswer: true },
      schema: { params: idParams, body: rotateHookBody, response: { 200: createdHook } },
    },
    async ({ actor, params, body }) => keepSecret(await rotateHookSecret(context, actor, params.id, body)),
  );

  routes.get(
    '/hooks/:id/deliveries',
    {
      config,
      schema: {
        params: idParams,
        querystring: z.object({ ...pageQuery, status: hookDeliveryStatus.optional() }),
        response: { 200: pageOf(hookDeliveryView) },
      },
    },
    async ({ actor, params, query }) => {
      const { id } = await getHook(database, actor, params.id);
      const { status } = query;
      return readPage(query, (page) => listHookDeliveries(database, id, { ...page, status }));
    },
  );
}
