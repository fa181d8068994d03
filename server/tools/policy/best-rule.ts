import { canonicalJson } from '../../../contract/canonical-json.ts';
import type { PolicyRule } from '../../../contract/policies.ts';
import { readCommandLine } from '../command-line/read-line.ts';
import { hole } from '../command-line/segment.ts';
import { judge } from './judge.ts';

/** An ask for a tool call that was decided, as far as a rule is made from it. */
export interface DecidedCall {
  tool: string;
  subject: string;
  input: Record<string, unknown>;
  effect: 'read' | 'workspace' | 'external';
  /** Whose calls they are: a rule is for one agent in one project. */
  agent: string;
  project: string | null;
  approved: boolean;
}

export interface BestRule {
  rule: PolicyRule;
  agent: string;
  project: string | null;
  /** Approvals that it would have spared. */
  saves: number;
}

const mostCandidates = 400;

/**
 * The rule that would have spared most of these approvals without covering a call that was denied; of equals the
 * narrowest. Null where none spares two.
 */
export function findBestRule(calls: readonly DecidedCall[]): BestRule | null {
  const groups = Map.groupBy(calls, ({ agent, project }) => JSON.stringify([agent, project]));
  const best = [...groups.values()].flatMap(bestOfGroup).toSorted(byUse)[0];
  return best ?? null;
}

function byUse(a: BestRule, b: BestRule): number {
  return b.saves - a.saves || narrowness(b.rule) - narrowness(a.rule);
}

function narrowness({ input, pattern = '' }: PolicyRule): number {
  return input === undefined ? pattern.length : 10_000;
}

function bestOfGroup(calls: DecidedCall[]): BestRule[] {
  const approved = calls.filter((call) => call.approved);
  const denied = calls.filter((call) => !call.approved);
  const candidates = new Map(approved.flatMap(candidatesOf).map((rule) => [canonicalJson(rule), rule]));
  const covers = (rule: PolicyRule, call: DecidedCall) => judge([rule], call).decision === 'allow';
  return [...candidates.values()]
    .slice(0, mostCandidates)
    .filter((rule) => !denied.some((call) => covers(rule, call)))
    .flatMap((rule) => {
      const saves = approved.filter((call) => covers(rule, call)).length;
      const { agent, project } = calls[0] ?? { agent: '', project: null };
      return saves < 2 ? [] : [{ rule, agent, project, saves }];
    })
    .toSorted(byUse)
    .slice(0, 1);
}

/** The call itself; and, for one plain command, its program with its first word and whatever follows. */
function candidatesOf({ tool, subject, input }: DecidedCall): PolicyRule[] {
  const exact: PolicyRule = { effect: 'allow', tool, input };
  if (tool !== 'run_command') return [exact];
  const { segments, writes, redirects, doubts } = readCommandLine(subject);
  const [first, ...others] = segments.filter(({ shadow }) => !shadow);
  const isPlain = doubts.length + writes.length + redirects.length + others.length === 0;
  if (!isPlain || first === undefined || first.inner || first.flags.length > 0) return [exact];
  const words = first.exact.split(' ');
  const begins = words.slice(0, 2).join(' ');
  const isName = words.length > 1 && /^[\w@./:+-]+ [\w@./:+-]+$/.test(begins) && !begins.includes(hole);
  return isName
    ? [exact, { effect: 'allow', tool, pattern: words.length > 2 ? `${begins} *` : `${begins}*` }]
    : [exact];
}
