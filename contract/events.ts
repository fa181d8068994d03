import { z } from 'zod';
import type { Permission } from './permissions.ts';
import { liveText } from './system.ts';

export const eventTypes = [
  'agent.limited',
  'agent.offline',
  'agent.online',
  'agent.registered',
  'agent.resumed',
  'agent.suspended',
  'agent.surprised',
  'agent.updated',
  'artifact.created',
  'ask.opened',
  'ask.decided',
  'ask.expired',
  'ask.withdrawn',
  'budget.changed',
  'budget.exhausted',
  'budget.near',
  'budget.overspent',
  'budget.removed',
  'change.ready',
  'change.sent_back',
  'change.merged',
  'change.pushed',
  'change.reverted',
  'change.closed',
  'credential.created',
  'credential.granted',
  'credential.removed',
  'credential.resealed',
  'credential.revoked',
  'credential.rotated',
  'credential.used',
  'disk.full',
  'egress.allowed',
  'egress.changed',
  'egress.refused',
  'egress.secret_stopped',
  'halt.began',
  'halt.ended',
  'hook.accepted',
  'hook.changed',
  'hook.created',
  'hook.ignored',
  'hook.refused',
  'hook.removed',
  'key.created',
  'key.revoked',
  'message.sent',
  'notification.changed',
  'notification.removed',
  'notification.tested',
  'notification.undelivered',
  'model.priced',
  'principal.created',
  'principal.updated',
  'policy.rule_added',
  'policy.rule_removed',
  'project.created',
  'project.deleted',
  'project.trusted',
  'project.updated',
  'provider.changed',
  'provider.removed',
  'run.queued',
  'run.claimed',
  'run.woken',
  'run.waiting',
  'run.paused',
  'run.kept_in',
  'run.released',
  'run.control_requested',
  'run.lease_expired',
  'run.overdue',
  'run.phase_entered',
  'run.succeeded',
  'run.failed',
  'run.stopped',
  'session.began',
  'session.ended',
  'step.intended',
  'step.completed',
  'step.recorded',
  'task.created',
  'task.claimed',
  'task.released',
  'task.lease_expired',
  'task.blocked',
  'task.unblocked',
  'task.updated',
  'task.completed',
  'task.failed',
  'task.cancelled',
  'task.overdue',
  'webhook.changed',
  'webhook.created',
  'webhook.disabled',
  'webhook.removed',
  'webhook.tested',
  'webhook.undelivered',
  'worker.started',
  'worker.stopped',
] as const;
export const eventType = z.enum(eventTypes);
export type EventType = (typeof eventTypes)[number];

/** CloudEvents 1.0 with the log's number as an extension; the same envelope on every channel. */
export const cloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.literal('/mission-control'),
  type: eventType,
  /** `run/run_…`: the entity that it happened to. */
  subject: z.string(),
  time: z.iso.datetime(),
  /** The place in the log: dense, in the order in which every follower sees it. */
  sequence: z.number().int().positive(),
  taskid: z.string().optional(),
  runid: z.string().optional(),
  projectid: z.string().optional(),
  actor: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type CloudEvent = z.infer<typeof cloudEvent>;

/** `task.created`, `task.*` for all of a family, or `*`. */
export const eventTypePattern = z.string().refine((pattern) => expandEventTypes([pattern]).length > 0, {
  error:
    'a type such as task.created, a family such as task.*, or *; GET /api/v1/openapi.json lists the types',
});

/** Every type that one of the patterns means. */
export function expandEventTypes(patterns: readonly string[]): EventType[] {
  return eventTypes.filter((type) =>
    patterns.some(
      (pattern) =>
        pattern === type ||
        pattern === '*' ||
        (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))),
    ),
  );
}

/** What somebody must be allowed to read, besides `events:read`, to be told of a family of events. */
const familyPermissions: Readonly<Record<string, Permission>> = {
  agent: 'agents:read',
  artifact: 'artifacts:read',
  ask: 'asks:read',
  audit: 'audit:read',
  budget: 'budgets:read',
  change: 'changes:read',
  credential: 'credentials:read',
  egress: 'runs:read',
  hook: 'hooks:manage',
  key: 'principals:manage',
  model: 'system:read',
  notification: 'system:read',
  policy: 'policy:read',
  principal: 'principals:manage',
  project: 'projects:read',
  provider: 'system:read',
  run: 'runs:read',
  session: 'principals:manage',
  step: 'runs:read',
  task: 'tasks:read',
  webhook: 'webhooks:manage',
  worker: 'system:read',
};

/** The types that such permissions show, out of those that were asked for; undefined where that is all there are. */
export function visibleEventTypes(
  permissions: readonly Permission[],
  asked: readonly EventType[] = eventTypes,
): EventType[] | undefined {
  const visible = asked.filter((type) => {
    const needed = familyPermissions[type.slice(0, type.indexOf('.'))];
    return needed === undefined || permissions.includes(needed);
  });
  return visible.length === eventTypes.length ? undefined : visible;
}

const patternList = z
  .string()
  .max(4_000)
  .transform((text) => text.split(','))
  .pipe(z.array(eventTypePattern).min(1).max(100));

/** Which events: everything that is given must hold. */
export const eventFilterQuery = z.object({
  /** Types or families, with commas between: `task.*,run.failed`. */
  types: patternList.optional(),
  /** What it happened to: `task/task_…`. */
  subject: z
    .string()
    .max(300)
    .regex(/^[a-z_]+\/./, 'what it happened to, as in `subject` of an event: task/task_…')
    .optional(),
  project: z.string().max(100).optional(),
  run: z.string().max(100).optional(),
  task: z.string().max(100).optional(),
});

const place = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const eventsQuery = eventFilterQuery.extend({
  /** Events behind this number; `nextCursor` of the page before. */
  after: place.optional(),
  /** The same as `after`. */
  cursor: place.optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
});

export const eventsPage = z.object({
  items: z.array(cloudEvent),
  /** Where the next page begins; null where there is no more now. */
  nextCursor: z.string().nullable(),
  /** The newest number of the whole log. */
  head: z.number(),
});
export type EventsPage = z.infer<typeof eventsPage>;

/** Without `after` (or the header Last-Event-ID) a stream begins at the log's end. */
export const eventStreamQuery = eventFilterQuery.extend({ after: place.optional() });

/*
 * GET /events/stream, over a WebSocket: JSON messages of the server, each with its `type`; the client sends
 * nothing. `hello` comes first, with the newest number; then every `event` in the log's order, once; `live` is
 * text as a model writes it, which may be lost and stands in the step that follows; `ping` every ten seconds.
 * Who reconnects with `after` = the last sequence that it saw misses and repeats nothing. It is closed with:
 *
 *   1001  the server stops: connect again
 *   1008  the key or session behind it has ended, or may do something else now: connect anew with a valid one
 *   1011  a failure of ours: connect again
 *   1013  the reader is too slow: connect again, and read faster or filter more
 *
 * Over server-sent events, the same: each event with `id:` = its sequence and `event:` = its type; `event: live`;
 * and before the server ends it, `event: error` with `streamEnd` as data.
 */
export const streamMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), head: z.number() }),
  z.object({ type: z.literal('event'), event: cloudEvent }),
  z.object({ type: z.literal('live'), live: liveText }),
  z.object({ type: z.literal('ping') }),
]);
export type StreamMessage = z.infer<typeof streamMessage>;

export const streamEnds = { stopping: 1001, ended: 1008, failed: 1011, too_slow: 1013 } as const;
export type StreamEndCode = keyof typeof streamEnds;

export const streamEnd = z.object({
  code: z.enum(['stopping', 'ended', 'failed', 'too_slow']),
  /** What to do. */
  detail: z.string(),
});
export type StreamEnd = z.infer<typeof streamEnd>;
