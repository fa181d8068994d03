import { z } from 'zod';

export const checkOutcome = z.enum(['passed', 'failed', 'timed_out', 'out_of_memory']);

/** One check as it ran in a clean workspace. */
export const checkReceipt = z.object({
  command: z.string(),
  /** `base` before the change, `change` on its commit, `pinned` on its commit under the base's tests and check files. */
  where: z.enum(['base', 'change', 'pinned']),
  commit: z.string(),
  exitCode: z.number().nullable(),
  outcome: checkOutcome,
  durationMs: z.number(),
  setupKey: z.string(),
  /** The whole output. */
  artifact: z.string().nullable(),
  excerpt: z.string(),
});
export type CheckReceipt = z.infer<typeof checkReceipt>;

export const receipt = z.object({
  base: z.string(),
  commit: z.string(),
  checks: z.array(checkReceipt),
  /** Existing tests and check files that the change touches: a person must look at these. */
  pinnedChanges: z.array(z.object({ path: z.string(), status: z.string() })),
  verdict: z.enum(['passed', 'accepted_by_human', 'unchecked']),
  needsHuman: z.boolean(),
  acceptedBy: z.string().nullable(),
});
export type Receipt = z.infer<typeof receipt>;

export const fileChange = z.object({
  path: z.string(),
  status: z.enum(['added', 'modified', 'deleted', 'renamed', 'copied', 'type_changed']),
  additions: z.number(),
  deletions: z.number(),
  binary: z.boolean(),
});
export type FileChange = z.infer<typeof fileChange>;

export const changeView = z.object({
  id: z.string(),
  taskId: z.string(),
  runId: z.string(),
  title: z.string(),
  description: z.string(),
  baseCommit: z.string(),
  commit: z.string(),
  targetBranch: z.string(),
  repository: z.string(),
  status: z.enum(['draft', 'ready', 'sent_back', 'merged', 'reverted', 'closed']),
  receipt,
  mergedCommit: z.string().nullable(),
  /** The commit that took the change out of its branch again. */
  revertCommit: z.string().nullable(),
  /** The change that was sent back and that this one is the answer to. */
  supersedes: z.string().nullable(),
  /** Why it went back to its agent, and who sent it: a principal's name, or `control-plane` after a collision. */
  sentBack: z.object({ by: z.string(), comments: z.string(), at: z.string() }).nullable(),
  /** Rises with each change of it. */
  version: z.number().int(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type ChangeView = z.infer<typeof changeView>;

export const sendBackBody = z.strictObject({
  /** What must become different; the agent's first guidance. */
  comments: z.string().trim().min(1).max(20_000),
});
export type SendBackBody = z.infer<typeof sendBackBody>;

export const changeDiff = z.object({ patch: z.string(), truncated: z.boolean(), files: z.array(fileChange) });
export type ChangeDiff = z.infer<typeof changeDiff>;
