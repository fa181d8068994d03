import { z } from 'zod';
import {
  deliveryView,
  notificationBody,
  notificationName,
  notificationTested,
  notificationView,
} from '../../../contract/notifications.ts';
import { listDeliveries } from '../../domain/notifications/deliveries.ts';
import {
  getNotification,
  listNotifications,
  putNotification,
  removeNotification,
} from '../../domain/notifications/settings.ts';
import { may } from '../access.ts';
import { listOf, pageLimit } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function notificationRoutes(routes: Routes, { database, notifications }: HttpParts): void {
  const { settings, test } = notifications;
  const params = z.object({ name: notificationName });

  routes.get(
    '/notifications',
    { config: may('system:read'), schema: { response: { 200: listOf(notificationView) } } },
    async () => ({
      items: await listNotifications(database, settings),
    }),
  );

  routes.get(
    '/notifications/deliveries',
    {
      config: may('system:read'),
      schema: {
        querystring: z.object({ status: deliveryView.shape.status.optional(), limit: pageLimit }),
        response: { 200: listOf(deliveryView) },
      },
    },
    async ({ query }) => ({ items: await listDeliveries(database, query) }),
  );

  routes.get(
    '/notifications/:name',
    { config: may('system:read'), schema: { params, response: { 200: notificationView } } },
    (request) => getNotification(database, settings, request.params.name),
  );

  routes.put(
    '/notifications/:name',
    {
      config: may('system:manage'),
      schema: { params, body: notificationBody, response: { 200: notificationView } },
    },
    (request) => putNotification(database, settings, request.actor, request.params.name, request.body),
  );

  routes.delete(
    '/notifications/:name',
    { config: may('system:manage'), schema: { params, response: { 204: z.null() } } },
    async (request, reply) => {
      await removeNotification(database, settings, request.actor, request.params.name);
      return reply.status(204).send(null);
    },
  );

  routes.post(
    '/notifications/:name/test',
    { config: may('system:manage'), schema: { params, response: { 200: notificationTested } } },
    (request) => test(request.actor, request.params.name),
  );
}
