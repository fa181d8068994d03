import { z } from 'zod';

/**
 * Why something does not move. A run or task that stands still always carries one of these, so that
 * no wait is nameless: what it waits for, who can end it, until when, and what happens then.
 */
export const waiting = z.object({
  on: z.enum(['ask', 'timer', 'blocker', 'budget', 'pause', 'review', 'queue']),
  /** The ask, change, run or budget waited for. */
  ref: z.string().nullable(),
  reason: z.string(),
  owner: z.string(),
  deadline: z.iso.datetime(),
  atDeadline: z.enum(['deny', 'retry', 'fail', 'remind']),
});
export type Waiting = z.infer<typeof waiting>;
