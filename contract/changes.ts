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
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type ChangeView = z.infer<typeof changeView>;

export const changeDiff = z.object({ patch: z.string(), truncated: z.boolean(), files: z.array(fileChange) });
export type ChangeDiff = z.infer<typeof changeDiff>;
