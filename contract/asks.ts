import { z } from 'zod';

export const askView = z.object({
  id: z.string(),
  runId: z.string(),
  taskId: z.string(),
  kind: z.enum(['approval', 'clarification', 'proposal']),
  question: z.string(),
  /** For an approval, the exact action: tool, arguments, folder and the workspace's tree. */
  detail: z.record(z.string(), z.unknown()),
  /** SHA-256 of the exact action; a decision names it, so that nothing else can be approved. */
  actionHash: z.string(),
  owner: z.string(),
  deadline: z.string(),
  defaultDecision: z.enum(['approve', 'deny']),
  status: z.enum(['open', 'decided', 'expired', 'withdrawn']),
  decision: z.enum(['approve', 'deny', 'answer']).nullable(),
  answer: z.string().nullable(),
  /** The arguments that a person put in the place of the agent's; null where they were left as they are. */
  input: z.record(z.string(), z.unknown()).nullable(),
  decidedBy: z.string().nullable(),
  createdAt: z.string(),
});
export type AskView = z.infer<typeof askView>;

export const decideAskBody = z.strictObject({
  decision: z.enum(['approve', 'deny', 'answer']),
  /** What the agent reads: the answer, or the reason of a denial. */
  answer: z.string().max(20_000).default(''),
  /**
   * Only with the approval of a tool call: the arguments that run in the place of the agent's. They are held
   * against the tool's schema and the policy when the call is made.
   */
  input: z.record(z.string(), z.unknown()).optional(),
  /** Optional: the decision holds only if the ask still is about this action. */
  actionHash: z.string().optional(),
});
export type DecideAskBody = z.infer<typeof decideAskBody>;
