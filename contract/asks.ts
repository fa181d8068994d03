import { z } from 'zod';
import { policyRule, ruleScope } from './policies.ts';

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
  /** How long the approval holds beyond the one call: for the run, or as a rule. */
  remember: z.enum(['run', 'rule']).nullable(),
  /** What would run, to the character: those that cannot be seen are named in ⟦ ⟧. Null where nothing would. */
  shown: z.string().nullable(),
  /** The rule that an approval as a rule makes: this very call, of this agent in this project. */
  offer: z.object({ rule: policyRule, scope: ruleScope }).nullable(),
  /** Rises with each change of it. */
  version: z.number().int(),
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
  /**
   * Only with the approval of a tool call: `run` lets the same call happen for the rest of this run without an ask,
   * `rule` from now on for this agent in this project. The same call is the same arguments, to the character.
   */
  remember: z.enum(['run', 'rule']).optional(),
  /** Optional: the decision holds only if the ask still is about this action. */
  actionHash: z.string().optional(),
});
export type DecideAskBody = z.infer<typeof decideAskBody>;

/** How often people are asked, and what would spare them most. */
export const askReport = z.object({
  /** Days that were looked at. */
  days: z.number(),
  completedTasks: z.number(),
  /** Asks of those tasks. */
  asks: z.number(),
  /** Null where no task was completed. */
  asksPerCompletedTask: z.number().nullable(),
  decided: z.object({ approved: z.number(), denied: z.number(), expired: z.number() }),
  /** The rule that would have spared most approvals, and met no denial. */
  offer: z.object({ rule: policyRule, scope: ruleScope, saves: z.number() }).nullable(),
});
export type AskReport = z.infer<typeof askReport>;
