import { z } from 'zod';
import {
  createdHook,
  createHookBody,
  hookDeliveryStatus,
  hookDeliveryView,
  hookReceipt,
  hookView,
  rotateHookBody,
  updateHookBody,
} from '../hooks.ts';
import { defineEndpoints, page, pageFilter } from './endpoint.ts';

/** Doors at which others give tasks, each request signed. */
export const hookEndpoints = defineEndpoints({
  createHook: {
    method: 'POST',
    path: '/hooks',
    tag: 'hooks',
    summary: 'Register a hook, at which others give tasks; its secret is in this answer alone',
    body: createHookBody,
    answer: createdHook,
  },
  listHooks: {
    method: 'GET',
    path: '/hooks',
    tag: 'hooks',
    summary: 'List hooks, never their secrets',
    query: z.object({ ...pageFilter }),
    answer: page(hookView),
  },
  getHook: {
    method: 'GET',
    path: '/hooks/{id}',
    tag: 'hooks',
    summary: 'Read a hook',
    answer: hookView,
  },
  updateHook: {
    method: 'PATCH',
    path: '/hooks/{id}',
    tag: 'hooks',
    summary: 'Change a hook, or disable it',
    body: updateHookBody,
    answer: hookView,
  },
  removeHook: {
    method: 'DELETE',
    path: '/hooks/{id}',
    tag: 'hooks',
    summary: 'Remove a hook; its tasks stay',
    answer: 'nothing',
  },
  rotateHookSecret: {
    method: 'POST',
    path: '/hooks/{id}/rotate-secret',
    tag: 'hooks',
    summary: 'Make a new secret; the old one is good as well for a day',
    body: rotateHookBody,
    answer: createdHook,
  },
  listHookDeliveries: {
    method: 'GET',
    path: '/hooks/{id}/deliveries',
    tag: 'hooks',
    summary: 'List what came in, and what was refused and why',
    query: z.object({ status: hookDeliveryStatus.optional(), ...pageFilter }),
    answer: page(hookDeliveryView),
  },
  deliverToHook: {
    method: 'POST',
    path: '/hooks/{id}/deliveries',
    tag: 'hooks',
    summary: 'Deliver to a hook, which makes a task of it',
    description:
      'The proof is the signature of the bytes of the body by the hook’s secret: `webhook-id`, `webhook-timestamp` and `webhook-signature` as Standard Webhooks has them, at most five minutes old, or GitHub’s `X-Hub-Signature-256` and `X-GitHub-Delivery`, as the hook’s `scheme` says. One identifier has one effect: a repetition is answered alike. What is not proved is 401, whatever the cause.',
    sends: 'bytes',
    body: z.unknown(),
    answer: hookReceipt,
  },
});
