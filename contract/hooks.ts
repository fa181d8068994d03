import { z } from 'zod';
import { createTaskBody, nameOrId, taskView } from './tasks.ts';

/**
 * How a sender proves itself. `standard-webhooks`: `webhook-id`, `webhook-timestamp` and `webhook-signature`, at most
 * five minutes old. `github`: `X-Hub-Signature-256`, with `X-GitHub-Delivery` as the delivery's identifier.
 */
export const hookScheme = z.enum(['standard-webhooks', 'github']);
export type HookScheme = z.infer<typeof hookScheme>;

/** Plain and without a space: the log and its tasks name it as `hook:NAME`. */
export const hookName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'takes letters, digits and . _ -, 63 at most');

/** Who made a task that a hook made; no principal can have such a name. */
export const hookActorName = (name: string): string => `hook:${name}`;
export const isHookActorName = (name: string): boolean => name.startsWith('hook:');

export const mostHookFields = 20;
/** Of the body that is sent, in bytes. */
export const mostHookBytes = 1024 * 1024;

const fieldPattern = /^[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100}){0,9}$/;
/** The fields that a template names, as in `{{issue.title}}`; what is between the braces and no field is kept as it is. */
export const templateFields = (text: string): string[] =>
  [...text.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, field = '']) => field.trim());

const template = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine((text) => templateFields(text).every((field) => fieldPattern.test(field)), {
      error: '{{…}} names a field of the JSON that is sent, such as {{issue.title}} or {{commits.0.message}}',
    })
    .refine((text) => templateFields(text).length <= mostHookFields, {
      error: `names ${mostHookFields} fields at most`,
    });

const title = template(200);
const instructions = template(10_000);
const only = z
  .record(z.string().max(500), z.array(z.string().max(200)).min(1).max(50))
  .refine((fields) => Object.keys(fields).every((field) => fieldPattern.test(field)), {
    error: 'names fields of the JSON that is sent, such as action or issue.state',
  })
  .refine((fields) => Object.keys(fields).length <= mostHookFields, {
    error: `names ${mostHookFields} fields at most`,
  });

/** What its tasks are given besides title and instructions, as in `POST /tasks`. */
export const hookTaskBody = z.strictObject({
  assignee: createTaskBody.shape.assignee,
  priority: createTaskBody.shape.priority,
  model: createTaskBody.shape.model,
  branch: createTaskBody.shape.branch,
  budget: createTaskBody.shape.budget,
});
export type HookTask = z.infer<typeof hookTaskBody>;

/** One that the sender made, where it takes none of ours; `whsec_` and base64, or any text. */
const secret = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'visible ASCII characters')
  .min(24)
  .max(500)
  .refine((text) => !text.startsWith('whsec_') || /^whsec_[A-Za-z0-9+/]{24,}={0,2}$/.test(text), {
    error: 'after whsec_ comes base64 of 18 bytes or more',
  });

export const createHookBody = z.strictObject({
  name: hookName,
  /** By its identifier or name. */
  project: nameOrId,
  scheme: hookScheme,
  /** Of its tasks; `{{issue.title}}` stands for a field of the JSON that is sent. */
  title,
  instructions,
  /** A delivery makes a task only where each of these fields has one of its values; the others are ignored. */
  only: only.default({}),
  task: hookTaskBody.prefault({}),
  /** Made by the server where it is not given. */
  secret: secret.optional(),
});
export type CreateHookBody = z.infer<typeof createHookBody>;

export const updateHookBody = z.strictObject({
  title: title.optional(),
  instructions: instructions.optional(),
  only: only.optional(),
  /** In the place of what it was. */
  task: hookTaskBody.optional(),
  /** A disabled hook refuses everything. */
  status: z.enum(['active', 'disabled']).optional(),
});
export type UpdateHookBody = z.infer<typeof updateHookBody>;

export const rotateHookBody = z.strictObject({ secret: secret.optional() });
export type RotateHookBody = z.infer<typeof rotateHookBody>;

export const hookView = z.object({
  id: z.string(),
  name: z.string(),
  /** The project's id. */
  project: z.string(),
  scheme: hookScheme,
  /** Where deliveries are posted, below the server's address. */
  path: z.string(),
  title: z.string(),
  instructions: z.string(),
  only: z.record(z.string(), z.array(z.string())),
  task: z.object({
    assignee: z.string().nullable().optional(),
    priority: taskView.shape.priority.optional(),
    model: z.string().optional(),
    branch: z.string().optional(),
    budget: z.object({ usd: z.number().optional(), tokens: z.number().optional() }).optional(),
  }),
  status: z.enum(['active', 'disabled']),
  /** Until when the secret before the present one is good as well. */
  rotatingUntil: z.string().nullable(),
  version: z.number(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type HookView = z.infer<typeof hookView>;

/** With the secret, which is shown this once. */
export const createdHook = hookView.extend({ secret: z.string() });
export type CreatedHook = z.infer<typeof createdHook>;

export const hookDeliveryStatus = z.enum(['accepted', 'ignored', 'refused']);
export const hookDeliveryView = z.object({
  id: z.string(),
  hook: z.string(),
  status: hookDeliveryStatus,
  /** The sender's identifier; null where it was refused, since nothing of that is believed. */
  senderId: z.string().nullable(),
  /** Why it was ignored or refused. */
  reason: z.string().nullable(),
  /** How many were refused for this reason within the minute. */
  times: z.number(),
  task: z.string().nullable(),
  at: z.string(),
});
export type HookDeliveryView = z.infer<typeof hookDeliveryView>;

/** What a sender is answered; the same to every repetition of a delivery. */
export const hookReceipt = z.object({
  id: z.string(),
  status: hookDeliveryStatus.exclude(['refused']),
  /** The task that it made. */
  task: z.string().nullable(),
});
export type HookReceipt = z.infer<typeof hookReceipt>;
