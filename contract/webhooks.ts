import { z } from 'zod';
import { eventTypePattern } from './events.ts';

const url = z.url({ protocol: /^https?$/, error: 'an https:// address' }).max(4_096);
const types = z.array(eventTypePattern).min(1).max(100);
const description = z.string().trim().max(500);

/**
 * Events are sent to `url` as CloudEvents in structured mode, signed as Standard Webhooks: `webhook-id` is the same
 * at every try, `sequence` of the body tells the order, which deliveries do not keep. Where `project` is given,
 * events of that project alone.
 */
export const createWebhookBody = z.strictObject({
  url,
  types,
  project: z.string().max(100).optional(),
  description: description.default(''),
});
export type CreateWebhookBody = z.infer<typeof createWebhookBody>;

export const updateWebhookBody = z.strictObject({
  url: url.optional(),
  types: types.optional(),
  project: z.string().max(100).nullable().optional(),
  description: description.optional(),
  /** `active` takes one up again that was disabled; what died meanwhile can be given again. */
  status: z.enum(['active', 'disabled']).optional(),
});
export type UpdateWebhookBody = z.infer<typeof updateWebhookBody>;

export const webhookView = z.object({
  id: z.string(),
  /** The address without its path, which may hold a token. */
  host: z.string(),
  description: z.string(),
  types: z.array(z.string()),
  project: z.string().nullable(),
  status: z.enum(['active', 'disabled']),
  disabledReason: z.string().nullable(),
  /** Since when nothing was taken. */
  failingSince: z.string().nullable(),
  /** Until when deliveries are signed with the secret before the present one as well. */
  rotatingUntil: z.string().nullable(),
  version: z.number(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type WebhookView = z.infer<typeof webhookView>;

/** With the secret, `whsec_…`, which is shown this once. */
export const createdWebhook = webhookView.extend({ secret: z.string() });
export type CreatedWebhook = z.infer<typeof createdWebhook>;

export const webhookDeliveryView = z.object({
  /** The `webhook-id`. */
  id: z.string(),
  webhook: z.string(),
  /** The event's number and type. */
  sequence: z.number(),
  type: z.string(),
  /** `dead`: given up. */
  status: z.enum(['waiting', 'delivered', 'dead']),
  attempts: z.number(),
  /** What the receiver answered last; null where it did not. */
  httpStatus: z.number().nullable(),
  error: z.string().nullable(),
  nextAt: z.string().nullable(),
  createdAt: z.string(),
  endedAt: z.string().nullable(),
});
export type WebhookDeliveryView = z.infer<typeof webhookDeliveryView>;

export const webhookTested = z.object({ delivered: z.literal(true), host: z.string() });

/** Of mission.config.json. */
export const webhookSettings = z
  .strictObject({
    /** Hosts in private networks, by name or address, that webhooks may be sent to, over http as well. */
    privateHosts: z.array(z.string().min(1).max(253)).max(100).default([]),
  })
  .prefault({});
export type WebhookSettings = z.infer<typeof webhookSettings>;
