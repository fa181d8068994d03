import { z } from 'zod';
import { eventsPage } from '../events.ts';
import {
  modelsView,
  modelView,
  providerView,
  putPriceBody,
  putProviderBody,
  testedModel,
  testModelBody,
} from '../models.ts';
import { deliveryView, notificationBody, notificationTested, notificationView } from '../notifications.ts';
import { beginSessionBody, loginLink, sessionView } from '../sessions.ts';
import { finding, haltBody, haltView, readyView, statusView, versionView } from '../system.ts';
import { defineEndpoints, items } from './endpoint.ts';

/** Types are names or families with commas between, such as `task.*,run.failed`. */
const eventFilter = {
  types: z.string().optional(),
  subject: z.string().optional(),
  project: z.string().optional(),
  run: z.string().optional(),
  task: z.string().optional(),
};

/** The log, and the house itself. */
export const systemEndpoints = defineEndpoints({
  getHealth: {
    method: 'GET',
    path: '/health',
    tag: 'system',
    summary: 'Ask whether the server lives',
    answer: z.object({ status: z.literal('ok') }),
  },
  getReady: {
    method: 'GET',
    path: '/ready',
    tag: 'system',
    summary: 'Ask whether work goes on',
    description:
      'Answers 503 with the reasons where the database does not answer, its schema is another, nobody numbers events, or no worker is up.',
    answer: readyView,
  },
  getVersion: {
    method: 'GET',
    path: '/version',
    tag: 'system',
    summary: 'Read which release this is',
    answer: versionView,
  },
  getMetrics: {
    method: 'GET',
    path: '/metrics',
    tag: 'system',
    summary: 'Read measurements, as Prometheus does',
    description:
      'In the text format of Prometheus; also at /metrics. Takes a key with metrics:read, or the token of MISSION_METRICS_TOKEN as a bearer.',
    answer: 'content',
  },
  getOpenApi: {
    method: 'GET',
    path: '/openapi.json',
    tag: 'system',
    summary: 'Read this document',
    answer: z.record(z.string(), z.unknown()),
  },
  getReference: {
    method: 'GET',
    path: '/reference',
    tag: 'system',
    summary: 'Read this document as a page',
    answer: 'content',
  },
  getStatus: {
    method: 'GET',
    path: '/status',
    tag: 'system',
    summary: 'Read what happens now, and what waits on whom',
    answer: statusView,
  },
  diagnose: {
    method: 'GET',
    path: '/doctor',
    tag: 'system',
    summary: 'Find what is missing, and the line that mends it',
    query: z.object({ test: z.enum(['true', 'false']).optional() }),
    answer: z.object({ findings: z.array(finding) }),
  },
  getBackup: {
    method: 'GET',
    path: '/backup',
    tag: 'system',
    summary: 'Take a consistent export of everything',
    answer: 'content',
  },
  halt: {
    method: 'POST',
    path: '/halt',
    tag: 'system',
    summary: 'Stop everything until it is released',
    body: haltBody.nullish(),
    answer: haltView,
  },
  release: {
    method: 'DELETE',
    path: '/halt',
    tag: 'system',
    summary: 'Let runs run again',
    answer: haltView,
  },
  listEvents: {
    method: 'GET',
    path: '/events',
    tag: 'events',
    summary: 'Read the log from a cursor',
    query: z.object({
      ...eventFilter,
      after: z.number().int().optional(),
      cursor: z.number().int().optional(),
      since: z.string().optional(),
      until: z.string().optional(),
      limit: z.number().int().optional(),
    }),
    answer: eventsPage,
  },
  streamEvents: {
    method: 'GET',
    path: '/events/stream',
    tag: 'events',
    summary: 'Follow the log live, by server-sent events or, where it is asked for, a WebSocket',
    description:
      'Resume with `after`, or with the header Last-Event-ID, from the last `sequence` that you saw: nothing is skipped or repeated. Over a WebSocket each message is JSON with a `type` of `hello`, `event`, `live` or `ping`.',
    query: z.object({ ...eventFilter, after: z.number().int().optional() }),
    answer: 'content',
  },
  beginSession: {
    method: 'POST',
    path: '/session',
    tag: 'sessions',
    summary: 'Begin the page’s session',
    body: beginSessionBody,
    answer: sessionView,
  },
  getSession: {
    method: 'GET',
    path: '/session',
    tag: 'sessions',
    summary: 'Read the session',
    answer: sessionView,
  },
  endSession: { method: 'DELETE', path: '/session', tag: 'sessions', summary: 'Log out', answer: 'nothing' },
  createLoginLink: {
    method: 'POST',
    path: '/login-links',
    tag: 'sessions',
    summary: 'Make a one-time link to the dashboard',
    answer: loginLink,
  },
  listModels: {
    method: 'GET',
    path: '/models',
    tag: 'models',
    summary: 'List models and providers',
    answer: modelsView,
  },
  testModel: {
    method: 'POST',
    path: '/models/test',
    tag: 'models',
    summary: 'Make a short real call',
    body: testModelBody,
    answer: testedModel,
  },
  setPrice: {
    method: 'PUT',
    path: '/models/{model}/price',
    tag: 'models',
    summary: 'Say what a model costs',
    body: putPriceBody,
    answer: modelView,
  },
  setProvider: {
    method: 'PUT',
    path: '/providers/{name}',
    tag: 'models',
    summary: 'Connect a provider, or change it',
    body: putProviderBody,
    answer: providerView,
  },
  removeProvider: {
    method: 'DELETE',
    path: '/providers/{name}',
    tag: 'models',
    summary: 'Disconnect a provider',
    answer: 'nothing',
  },
  listNotifications: {
    method: 'GET',
    path: '/notifications',
    tag: 'notifications',
    summary: 'List who is told when somebody is needed',
    answer: items(notificationView),
  },
  listDeliveries: {
    method: 'GET',
    path: '/notifications/deliveries',
    tag: 'notifications',
    summary: 'List what was told, and what could not be',
    query: z.object({
      status: deliveryView.shape.status.optional(),
      limit: z.number().int().optional(),
    }),
    answer: items(deliveryView),
  },
  getNotification: {
    method: 'GET',
    path: '/notifications/{name}',
    tag: 'notifications',
    summary: 'Read one',
    answer: notificationView,
  },
  setNotification: {
    method: 'PUT',
    path: '/notifications/{name}',
    tag: 'notifications',
    summary: 'Make one, or change it',
    body: notificationBody,
    answer: notificationView,
  },
  removeNotification: {
    method: 'DELETE',
    path: '/notifications/{name}',
    tag: 'notifications',
    summary: 'Remove one',
    answer: 'nothing',
  },
  testNotification: {
    method: 'POST',
    path: '/notifications/{name}/test',
    tag: 'notifications',
    summary: 'Send a trial message',
    answer: notificationTested,
  },
});
