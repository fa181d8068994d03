import { z } from 'zod';
import { waiting } from './waiting.ts';

export const runStatuses = [
  'queued',
  'running',
  'waiting',
  'paused',
  'succeeded',
  'failed',
  'stopped',
] as const;
export const runStatus = z.enum(runStatuses);
export type RunStatus = z.infer<typeof runStatus>;

/** What a budget is of; `agent_day` is what one agent spends in a day. */
export const budgetScope = z.enum(['run', 'task', 'agent', 'agent_day', 'project', 'day']);
export type BudgetScope = z.infer<typeof budgetScope>;

/** Where money and tokens stand, in whole tokens and millionths of a US dollar. A limit of null is none. */
export const budgetView = z.object({
  scope: budgetScope,
  key: z.string(),
  limitTokens: z.number().nullable(),
  limitMicros: z.number().nullable(),
  spentTokens: z.number(),
  spentMicros: z.number(),
  reservedTokens: z.number(),
  reservedMicros: z.number(),
});
export type BudgetView = z.infer<typeof budgetView>;

export const runView = z.object({
  id: z.string(),
  kind: z.enum(['task', 'merge', 'revert', 'push', 'external']),
  taskId: z.string(),
  changeId: z.string().nullable(),
  agent: z.string(),
  model: z.string(),
  /** True where the model is a recording; to be said wherever the run is shown. */
  recording: z.boolean(),
  status: runStatus,
  phase: z.string(),
  waiting: waiting.nullable(),
  outcome: z.string().nullable(),
  /** The live lease; null where no worker holds the run. */
  lease: z.object({ worker: z.string(), token: z.number() }).nullable(),
  /** How commands are walled in: `bubblewrap`, `container`, or `unsafe`. Null before a worker took the run. */
  sandbox: z.string().nullable(),
  budget: budgetView.nullable(),
  steps: z.number(),
  /** Rises when its status or what is asked of it changes. */
  version: z.number().int(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
});
export type RunView = z.infer<typeof runView>;

export const sayBody = z.strictObject({ text: z.string().trim().min(1).max(20_000) });

export const saidView = z.object({ status: z.literal('accepted') });
