import { z } from 'zod';
import { showExact } from './exact-text.ts';

const pattern = z.string().min(1).max(2_000);

/**
 * Who may call what. Every condition that is given must hold. In patterns `*` is any text; in paths `*` stays
 * within a name and `**` crosses folders.
 */
export const policyRule = z.strictObject({
  effect: z.enum(['allow', 'ask', 'deny']),
  /** A tool's name, or a pattern such as `git_*`. */
  tool: z.string().min(1).max(200),
  /** Matched with the call's subject: `npm test*` for commands, `src/**` for paths. */
  pattern: pattern.optional(),
  /** A command of the line, taken apart: the same as `pattern` for a tool whose subject is a command line. */
  command: pattern.optional(),
  /** A path that the call names, as it is written and where it really leads. */
  path: pattern.optional(),
  /** A host that the call names, such as `*.example.org`. */
  host: pattern.optional(),
  /** Single arguments, by JSON pointer: `{ "/timeout_seconds": "600" }`. */
  arguments: z.record(z.string().regex(/^\//), pattern).optional(),
  /** The whole arguments, equal to the last character. */
  input: z.record(z.string(), z.unknown()).optional(),
  /** Only calls of this effect. */
  touches: z.enum(['read', 'workspace', 'external']).optional(),
  /** `ask`: a person made this rule when deciding an ask. */
  source: z.literal('ask').optional(),
});
export type PolicyRule = z.infer<typeof policyRule>;

/** Whom a rule speaks of: all that is given must fit. Agents and projects by name or id. */
export const ruleScope = z.strictObject({
  agent: z.string().min(1).optional(),
  project: z.string().min(1).optional(),
  role: z.string().min(1).optional(),
  run: z.string().min(1).optional(),
});
export type RuleScope = z.infer<typeof ruleScope>;

export const policyChange = z.object({
  version: z.number(),
  by: z.string(),
  why: z.string(),
  at: z.string(),
});

/** A rule as it stands in the database, by its number. */
export const policyRuleView = z.object({
  number: z.number(),
  rule: policyRule,
  scope: ruleScope,
  askId: z.string().nullable(),
  added: policyChange,
  removed: policyChange.nullable(),
});
export type PolicyRuleView = z.infer<typeof policyRuleView>;

export const policyView = z.object({ version: z.number(), items: z.array(policyRuleView) });

const why = z.string().trim().min(1).max(2_000);
export const addRuleBody = z.strictObject({
  rule: policyRule.omit({ source: true }),
  scope: ruleScope.default({}),
  /** Why, for those who read the history. */
  why,
});
export type AddRuleBody = z.infer<typeof addRuleBody>;
export const removeRuleBody = z.strictObject({ why });

export const testPolicyBody = z
  .strictObject({
    agent: z.string().min(1),
    project: z.string().min(1).optional(),
    tool: z.string().min(1).default('run_command'),
    /** A command line or a path, where the tool takes one. */
    subject: z.string().max(32_000).default(''),
    /** The whole arguments, instead of the subject. */
    input: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(({ subject, input }) => subject !== '' || input !== undefined, 'give a subject or the whole input');
export type TestPolicyBody = z.infer<typeof testPolicyBody>;

const decision = z.enum(['allow', 'ask', 'deny']);
export const policyExplanation = z.object({
  decision,
  reason: z.string(),
  version: z.number(),
  /** Every command of the line, every path that it writes, and what judged it. */
  parts: z.array(z.object({ what: z.string(), decision, reason: z.string() })),
});
export type PolicyExplanation = z.infer<typeof policyExplanation>;

/** A rule in one line, for people. */
export function ruleWords(rule: PolicyRule): string {
  const { effect, tool, pattern: subject, command, path, host, input, touches } = rule;
  const words = [
    effect,
    tool,
    subject,
    command,
    path === undefined ? undefined : `path ${path}`,
    host === undefined ? undefined : `host ${host}`,
    ...Object.entries(rule.arguments ?? {}).map(([pointer, value]) => `${pointer} ${value}`),
    input === undefined ? undefined : `exactly ${inputWords(input)}`,
    touches === undefined ? undefined : `(${touches})`,
  ];
  return showExact(words.filter((word) => word !== undefined).join(' '));
}

function inputWords(input: Record<string, unknown>): string {
  const { command, ...rest } = input;
  return typeof command === 'string' && Object.keys(rest).length === 0 ? command : JSON.stringify(input);
}

export function scopeWords({ agent, project, role, run }: RuleScope): string {
  const words = [
    agent === undefined ? '' : ` for ${agent}`,
    role === undefined ? '' : ` for agents of the role ${role}`,
    project === undefined ? '' : ` in ${project}`,
    run === undefined ? '' : ` in the run ${run}`,
  ];
  return showExact(words.join(''));
}
