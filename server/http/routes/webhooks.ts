import { z } from 'zod';
import {
  createdWebhook,
  createWebhookBody,
  updateWebhookBody,
  webhookDeliveryView,
  webhookTested,
  webhookView,
} from '../../../contract/webhooks.ts';
import { listWebhookDeliveries, redeliver } from '../../domain/webhooks/deliveries.ts';
import {
  createWebhook,
  getWebhook,
  listWebhooks,
  removeWebhook,
  rotateSecret,
  updateWebhook,
} from '../../domain/webhooks/webhooks.ts';
import { may } from '../access.ts';
import { expectedVersion } from '../etag.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

const deliveryStatus = webhookDeliveryView.shape.status.optional();

export function webhookRoutes(routes: Routes, { database, webhooks }: HttpParts): void {
  const { context, test } = webhooks;
  const config = may('webhooks:manage');

  routes.post(
    '/webhooks',
    {
      config: { ...config, secretAnswer: true },
      schema: { body: createWebhookBody, response: { 201: createdWebhook } },
    },
    async ({ actor, body }, reply) => reply.status(201).send(await createWebhook(context, actor, body)),
  );

  routes.get(
    '/webhooks',
    { config, schema: { querystring: z.object(pageQuery), response: { 200: pageOf(webhookView) } } },
    ({ actor, query }) => readPage(query, (page) => listWebhooks(database, actor, page)),
  );

  routes.get(
    '/webhooks/dead-letters',
    { config, schema: { querystring: z.object(pageQuery), response: { 200: pageOf(webhookDeliveryView) } } },
    ({ actor, query }) =>
      readPage(query, (page) => listWebhookDeliveries(database, actor, { ...page, status: 'dead' })),
  );

  routes.get(
    '/webhooks/:id',
    { config, schema: { params: idParams, response: { 200: webhookView } } },
    ({ actor, params }) => getWebhook(database, actor, params.id),
  );

  routes.patch(
    '/webhooks/:id',
    {
      config: { ...config, ifMatch: true },
      schema: { params: idParams, body: updateWebhookBody, response: { 200: webhookView } },
    },
    (request) =>
      updateWebhook(context, request.actor, request.params.id, request.body, expectedVersion(request)),
  );

  routes.delete(
    '/webhooks/:id',
    { config, schema: { params: idParams, response: { 204: z.null() } } },
    async ({ actor, params }, reply) => {
      await removeWebhook(database, actor, params.id);
      return reply.status(204).send(null);
    },
  );

  routes.post(
    '/webhooks/:id/rotate-secret',
    {
      config: { ...config, secretAnswer: true },
      schema: { params: idParams, response: { 200: createdWebhook } },
    },
    ({ actor, params }) => rotateSecret(context, actor, params.id),
  );

  routes.post(
    '/webhooks/:id/test',
    { config, schema: { params: idParams, response: { 200: webhookTested } } },
    ({ actor, params }) => test(actor, params.id),
  );

  routes.get(
    '/webhooks/:id/deliveries',
    {
      config,
      schema: {
        params: idParams,
        querystring: z.object({ ...pageQuery, status: deliveryStatus }),
        response: { 200: pageOf(webhookDeliveryView) },
      },
    },
    async ({ actor, params, query }) => {
      const { id } = await getWebhook(database, actor, params.id);
      const { status } = query;
      return readPage(query, (page) =>
        listWebhookDeliveries(database, actor, { ...page, webhook: id, status }),
      );
    },
  );

  routes.post(
    '/webhooks/:id/deliveries/:delivery/redeliver',
    {
      config,
      schema: { params: idParams.extend({ delivery: z.string() }), response: { 202: webhookDeliveryView } },
    },
    async ({ actor, params }, reply) =>
      reply.status(202).send(await redeliver(database, actor, params.id, params.delivery)),
  );
}
