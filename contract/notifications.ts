import { z } from 'zod';

/** How a notification is written: our own JSON, or what the named service takes. */
export const notificationKinds = ['webhook', 'ntfy', 'slack', 'discord'] as const;

/**
 * What people are told: `needed` when an ask opens, `ended` when a task ends or its change is ready, `budget` at
 * 80 % of a run's or the day's limit and when it is spent, `overdue` when something waited past its deadline.
 */
export const notificationTopics = ['needed', 'ended', 'budget', 'overdue'] as const;
export const notificationTopic = z.enum(notificationTopics);
export type NotificationTopic = z.infer<typeof notificationTopic>;

export const notificationName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, at most 63')
  .refine((name) => name !== 'deliveries', 'another name: `deliveries` is taken');

const httpUrl = z.url({ protocol: /^https?$/, error: 'an http:// or https:// address' }).max(4_096);

/**
 * Where to, and about what. The address, `secret` and `token` are sealed at rest and never shown again. In
 * mission.config.json each of the three may be `env:NAME`, an environment variable of the server.
 */
export const notificationBody = z.strictObject({
  kind: z.enum(notificationKinds),
  url: httpUrl,
  topics: z
    .array(notificationTopic)
    .min(1)
    .default([...notificationTopics]),
  /** Signs a `webhook` as Standard Webhooks do: `whsec_` and base64, or any text. */
  secret: z.string().min(8).max(500).optional(),
  /** Sent as `Authorization: Bearer …`, as ntfy's access tokens are. */
  token: z.string().min(1).max(4_096).optional(),
});
export type NotificationBody = z.infer<typeof notificationBody>;

export const notificationView = z.object({
  name: z.string(),
  kind: z.enum(notificationKinds),
  /** The address without its path, which may hold a token. */
  host: z.string(),
  topics: z.array(notificationTopic),
  signed: z.boolean(),
  /** `file` for mission.config.json, which the API does not change. */
  source: z.enum(['file', 'api']),
});
export type NotificationView = z.infer<typeof notificationView>;

export const deliveryView = z.object({
  id: z.string(),
  notification: z.string(),
  eventId: z.string(),
  topic: notificationTopic,
  title: z.string(),
  /** `dead`: given up; nobody was told by this way. */
  status: z.enum(['waiting', 'delivered', 'dead']),
  attempts: z.number(),
  error: z.string().nullable(),
  createdAt: z.string(),
  endedAt: z.string().nullable(),
});
export type DeliveryView = z.infer<typeof deliveryView>;

export const notificationTested = z.object({ delivered: z.literal(true), host: z.string() });

/** Of mission.config.json, by name. */
export const notificationsInFile = z.record(
  notificationName,
  notificationBody.extend({ url: z.string().min(1) }),
);
