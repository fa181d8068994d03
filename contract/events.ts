import { z } from 'zod';

export const eventTypes = [
  'agent.registered',
  'artifact.created',
  'ask.opened',
  'ask.decided',
  'ask.expired',
  'ask.withdrawn',
  'budget.exhausted',
  'budget.overspent',
  'change.ready',
  'change.sent_back',
  'change.merged',
  'change.closed',
  'message.sent',
  'project.created',
  'run.queued',
  'run.claimed',
  'run.woken',
  'run.waiting',
  'run.paused',
  'run.released',
  'run.control_requested',
  'run.lease_expired',
  'run.overdue',
  'run.phase_entered',
  'run.succeeded',
  'run.failed',
  'run.stopped',
  'step.intended',
  'step.completed',
  'step.recorded',
  'task.created',
  'task.updated',
  'task.completed',
  'task.failed',
  'task.cancelled',
  'task.overdue',
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
  actor: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type CloudEvent = z.infer<typeof cloudEvent>;
