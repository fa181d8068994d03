import { z } from 'zod';
import type { Effect } from '../../contract/steps.ts';
import { segmentsOf } from './command-line.ts';
import { catches, couldCatch, coversCommand, matchesName, matchesPath } from './glob.ts';
import { normalisePath } from './paths.ts';

/**
 * Who may call which tool. Deny wins; otherwise a rule made by a person from an ask, then the most specific
 * rule; a tie of different rules asks, and so does a call that no rule matches.
 *
 * An allowance must cover the whole subject, and its wildcards cover no shell operator. A denial, and a rule
 * that asks, is looked for in every single command of a line, however deep. Where the shell alone will know
 * whether a denied command is meant (`git $X`), a person is asked. That a rule looks at one tool only is by
 * design: what commands can reach is the sandbox's to bound.
 */
export const policyRule = z.strictObject({
  effect: z.enum(['allow', 'ask', 'deny']),
  /** A tool's name, or a pattern such as `git_*`. */
  tool: z.string().min(1).max(200),
  /** Matched with the call's subject: `npm test*` for commands, `src/**` for paths. */
  pattern: z.string().min(1).max(2_000).optional(),
  /** Only calls of this effect. */
  touches: z.enum(['read', 'workspace', 'external']).optional(),
  /** `ask`: a person made this rule when deciding an ask. */
  source: z.literal('ask').optional(),
});
export type PolicyRule = z.infer<typeof policyRule>;

export interface JudgedCall {
  tool: string;
  /** A command line for `run_command`; for the others a path or nothing. */
  subject: string;
  effect: Effect;
}

export interface Judgement {
  decision: 'allow' | 'ask' | 'deny';
  /** The index of the rule that decided; null where none did, or several of the same rank. */
  rule: number | null;
  reason: string;
}

/** What the developer may do: all that stays in its own workspace. */
export const developerPolicy: PolicyRule[] = [
  { effect: 'allow', tool: '*', touches: 'read' },
  { effect: 'allow', tool: '*', touches: 'workspace' },
  { effect: 'ask', tool: '*', touches: 'external' },
];

export function judge(rules: readonly PolicyRule[], call: JudgedCall): Judgement {
  const subject = readSubject(call);
  const matches = rules.map((rule, index) => ({ rule, index, match: matchOf(rule, call, subject) }));

  const denial = matches.find(({ rule, match }) => rule.effect === 'deny' && match === 'certain');
  if (denial) return { decision: 'deny', rule: denial.index, reason: `denied by ${describe(denial.rule)}` };

  const [best, ...others] = matches
    .filter(({ rule, match }) => rule.effect !== 'deny' && match !== 'none')
    .sort((a, b) => compareRank(b.rule, a.rule));
  const doubtful = matches.find(({ rule, match }) => rule.effect === 'deny' && match === 'possible');
  if (doubtful && !(best?.rule.source === 'ask' && best.rule.effect === 'allow')) {
    const reason = `${describe(doubtful.rule)} may forbid it: what this line runs is known to the shell alone`;
    return { decision: 'ask', rule: doubtful.index, reason };
  }
  if (!best) return { decision: 'ask', rule: null, reason: `no rule speaks of ${call.tool}` };

  const rival = others.find(
    ({ rule }) => rule.effect !== best.rule.effect && compareRank(rule, best.rule) === 0,
  );
  if (rival) {
    const reason = `${describe(best.rule)} and ${describe(rival.rule)} are of the same rank, and differ`;
    return { decision: 'ask', rule: null, reason };
  }
  const verb = best.rule.effect === 'allow' ? 'allowed' : 'asked for';
  return { decision: best.rule.effect, rule: best.index, reason: `${verb} by ${describe(best.rule)}` };
}

type Subject =
  | { kind: 'command'; line: string; segments: string[] }
  | { kind: 'path'; path: string; escapes: boolean };
type Match = 'certain' | 'possible' | 'none';

function readSubject(call: JudgedCall): Subject {
  if (call.tool === 'run_command') {
    return { kind: 'command', line: call.subject, segments: segmentsOf(call.subject) };
  }
  const path = call.subject === '' ? '' : normalisePath(call.subject);
  return { kind: 'path', path: path ?? call.subject, escapes: path === null };
}

function matchOf(rule: PolicyRule, call: JudgedCall, subject: Subject): Match {
  if (!matchesName(rule.tool, call.tool)) return 'none';
  if (rule.touches && rule.touches !== call.effect) return 'none';
  const { pattern } = rule;
  if (pattern === undefined) return 'certain';
  if (subject.kind === 'path') {
    if (subject.escapes) return rule.effect === 'allow' ? 'none' : 'possible';
    return matchesPath(pattern, subject.path) ? 'certain' : 'none';
  }
  if (rule.effect === 'allow') return coversCommand(pattern, subject.line) ? 'certain' : 'none';
  const pieces = [subject.line, ...subject.segments];
  if (pieces.some((piece) => catches(pattern, piece))) return 'certain';
  return subject.segments.some((piece) => couldCatch(pattern, piece)) ? 'possible' : 'none';
}

/** Positive where `a` outranks `b`. */
function compareRank(a: PolicyRule, b: PolicyRule): number {
  const left = rank(a);
  const right = rank(b);
  for (const [index, value] of left.entries()) {
    const difference = value - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rank(rule: PolicyRule): number[] {
  const literal = (text: string) => text.replaceAll('*', '').length;
  return [
    Number(rule.source === 'ask'),
    Number(!rule.tool.includes('*')),
    Number(rule.pattern !== undefined),
    literal(rule.pattern ?? ''),
    Number(!rule.pattern?.includes('*')),
    literal(rule.tool),
    Number(rule.touches !== undefined),
  ];
}

function describe(rule: PolicyRule): string {
  const pattern = rule.pattern === undefined ? '' : ` ${rule.pattern}`;
  const touches = rule.touches ? ` (${rule.touches})` : '';
  return `the rule "${rule.effect} ${rule.tool}${pattern}"${touches}`;
}
