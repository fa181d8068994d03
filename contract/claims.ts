import { z } from 'zod';
import { instant, nameOrId, priority, skills, taskView } from './tasks.ts';

/** Seconds without a heartbeat after which a task goes back to the others. */
export const leaseSeconds = z.number().int().min(15).max(3_600);
/** Rises with every claim of a task; every write of its holder carries it. */
const leaseToken = z.number().int().positive();

export const claimTaskBody = z.strictObject({
  leaseSeconds: leaseSeconds.default(60),
  /** For whom: only operators and admins claim for another. */
  agent: nameOrId.optional(),
});
export type ClaimTaskBody = z.infer<typeof claimTaskBody>;

export const claimNextBody = claimTaskBody.extend({
  count: z.number().int().min(1).max(500).default(1),
  project: nameOrId.optional(),
  parent: z.string().max(100).optional(),
  priority: priority.optional(),
  /** Only tasks that need no other skills than these; the agent's own where it is not given. */
  skills: skills.optional(),
});
export type ClaimNextBody = z.infer<typeof claimNextBody>;

export const claimView = z.object({
  task: taskView,
  runId: z.string(),
  leaseToken,
  leaseSeconds: z.number(),
});
export type ClaimView = z.infer<typeof claimView>;
/** Empty where nothing fits now. */
export const claimList = z.object({ items: z.array(claimView) });

export const heartbeatBody = z.strictObject({ leaseToken, leaseSeconds: leaseSeconds.optional() });
export const heartbeatView = z.object({
  leaseSeconds: z.number(),
  /** What is asked of the holder: `pause` and `stop` want the task released. */
  control: z.enum(['go', 'pause', 'stop']),
});
export type HeartbeatView = z.infer<typeof heartbeatView>;

export const releaseBody = z.strictObject({ leaseToken, reason: z.string().trim().max(2_000).default('') });

export const completeBody = z.strictObject({
  leaseToken,
  result: z.record(z.string().max(200), z.unknown()).optional(),
  /** Identifiers of artifacts that were uploaded before. */
  artifacts: z.array(z.string().max(100)).max(100).optional(),
});
export type CompleteBody = z.infer<typeof completeBody>;

/** A completion of many: each has its own result. */
export const completeManyBody = z.strictObject({
  items: z
    .array(completeBody.omit({ artifacts: true }).extend({ id: z.string().max(100) }))
    .min(1)
    .max(500),
  /** The next, in the same call and under the same commit; the places of what is handed in are free for it. */
  claim: claimNextBody.omit({ agent: true }).optional(),
});
export const completedMany = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      /** Null where it was refused: its lease is over. */
      status: taskView.shape.status.nullable(),
    }),
  ),
  /** Empty where nothing was asked for, or nothing fits now. */
  claims: z.array(claimView),
});

export const blockBody = z.strictObject({
  /** Its holder's; operators block what nobody holds without one. */
  leaseToken: leaseToken.optional(),
  reason: z.string().trim().min(1).max(2_000),
  /** Who can end it. */
  owner: z.string().trim().min(1).max(200).default('operators'),
  deadline: instant,
  /** `remind` tells the owner, `retry` unblocks it, `fail` ends it. */
  atDeadline: z.enum(['remind', 'retry', 'fail']).default('remind'),
});
export type BlockBody = z.infer<typeof blockBody>;

export const unblockBody = z.strictObject({ reason: z.string().trim().max(2_000).default('') });
