import { readCommandLine } from '../command-line/read-line.ts';
import { hole, type Segment, showHoles } from '../command-line/segment.ts';
import { matchesName } from '../glob.ts';
import { normalisePath } from '../paths.ts';
import {
  isWhole,
  type JudgedCall,
  type Match,
  matchOf,
  matchSegment,
  readSubject,
  type Subject,
} from './match.ts';
import { compareRank, describeRule, type RankedRule } from './rank.ts';

export type { PolicyRule } from '../../../contract/policies.ts';
export type { JudgedCall } from './match.ts';

type Decision = 'allow' | 'ask' | 'deny';

export interface Judgement {
  decision: Decision;
  /** The index of the rule that decided; null where none did, or several of the same rank. */
  rule: number | null;
  reason: string;
}

/** A command of a line, or a path that it writes, and what judged it. */
export interface JudgedPart extends Judgement {
  what: string;
}

/** Where paths really lead, through links; null where that is out of the workspace. */
export interface RealPaths {
  subject?: readonly (string | null)[];
  /** Of what a command line writes, by the path as it is written. */
  writes?: ReadonlyMap<string, string | null>;
}

export interface PolicyTargets {
  /** Where a path of the workspace really leads, through links; null where it leads out. */
  resolvePath?: ((path: string) => Promise<string | null>) | undefined;
}

const severity: Record<Decision, number> = { allow: 0, ask: 1, deny: 2 };
const strictest = <T extends Judgement>(judgements: readonly T[]): T | undefined =>
  judgements.toSorted((a, b) => severity[b.decision] - severity[a.decision])[0];

/**
 * Who may call which tool. Deny wins; otherwise a rule made by a person from an ask, then the most specific
 * rule; a tie of different rules asks, and so does a call that no rule matches.
 *
 * An allowance must cover the whole subject, or every command of the line by itself; its wildcards cover no shell
 * operator, no flag that runs a program and no variable that changes what runs. A denial, and a rule that asks, is
 * looked for in every single command of a line, however deep. Where the shell alone will know whether a denied
 * command is meant (`git $X`), a person is asked. A path that a line writes is judged as a write of that file.
 */
export function judge(rules: readonly RankedRule[], call: JudgedCall, real: RealPaths = {}): Judgement {
  const subject = readSubject(call, real.subject);
  const matches = rules.map((rule, index) => ({ rule, index, match: matchOf(rule, call, subject) }));
  const denial = matches.find(({ rule, match }) => rule.effect === 'deny' && match === 'certain');
  if (denial)
    return { decision: 'deny', rule: denial.index, reason: `denied by ${describeRule(denial.rule)}` };

  const best = bestOf(matches);
  const doubtful = matches.find(({ rule, match }) => rule.effect === 'deny' && match === 'possible');
  if (doubtful && !(best?.rule.source === 'ask' && best.rule.effect === 'allow')) {
    const why = subject.kind === 'command' ? subject.read.doubts[0] : undefined;
    const reason = `${describeRule(doubtful.rule)} may forbid it: ${why ?? 'what it comes to is known to the shell alone'}`;
    return { decision: 'ask', rule: doubtful.index, reason };
  }
  const judged =
    subject.kind === 'command'
      ? judgeLine(rules, call, subject, matches)
      : decide(matches, `no rule speaks of ${call.tool}`);
  const isChosen = best?.rule.source === 'ask' && judged.decision === 'allow';
  const writes = subject.kind === 'command' && !isChosen ? judgeWrites(rules, subject, real.writes) : [];
  return strictest([judged, ...writes.filter(({ decision }) => decision !== 'allow')]) ?? judged;
}

/** Every part of a call and what judged it, for `mission policy test`. */
export function explain(rules: readonly RankedRule[], call: JudgedCall): JudgedPart[] {
  const subject = readSubject(call);
  if (subject.kind !== 'command') return [];
  const parts = subject.read.segments
    .filter(({ shadow }) => !shadow)
    .map((segment) => ({ what: showHoles(segment.exact), ...judgeSegment(rules, call, segment) }));
  const doubts = subject.read.doubts.map((reason) => ({
    what: reason,
    decision: 'ask' as const,
    rule: null,
    reason: 'no pattern covers it, only a rule for the whole line or without a pattern',
  }));
  return [...parts, ...doubts, ...judgeWrites(rules, subject)];
}

/** The policy as the first of the guards: paths are followed through links where a rule looks at paths. */
export async function policyGuard(
  rules: readonly RankedRule[],
  call: JudgedCall,
  { resolvePath }: PolicyTargets = {},
): Promise<Judgement> {
  if (resolvePath === undefined || call.subject === '') return judge(rules, call);
  const tool = call.tool === 'run_command' ? 'write_file' : call.tool;
  if (!rules.some((rule) => matchesName(rule.tool, tool) && (rule.pattern ?? rule.path) !== undefined)) {
    return judge(rules, call);
  }
  if (call.tool !== 'run_command') {
    const isInside = normalisePath(call.subject) !== null;
    return judge(rules, call, isInside ? { subject: [await resolvePath(call.subject)] } : {});
  }
  const writes = new Map<string, string | null>();
  for (const path of readCommandLine(call.subject).writes.slice(0, mostWrites)) {
    if (!path.includes(hole) && path !== '') writes.set(path, await resolvePath(path));
  }
  return judge(rules, call, { writes });
}

const mostWrites = 20;

interface Matched {
  rule: RankedRule;
  index: number;
  match: Match;
}

function bestOf(matches: readonly Matched[]): Matched | undefined {
  return matches
    .filter(({ rule, match }) => rule.effect !== 'deny' && match !== 'none')
    .toSorted((a, b) => compareRank(b.rule, a.rule))[0];
}

function decide(matches: readonly Matched[], nothing: string): Judgement {
  const best = bestOf(matches);
  if (!best) return { decision: 'ask', rule: null, reason: nothing };
  const rival = matches.find(
    ({ rule, match }) =>
      match !== 'none' &&
      rule.effect !== 'deny' &&
      rule.effect !== best.rule.effect &&
      compareRank(rule, best.rule) === 0,
  );
  if (rival) {
    const reason = `${describeRule(best.rule)} and ${describeRule(rival.rule)} are of the same rank, and differ`;
    return { decision: 'ask', rule: null, reason };
  }
  const verb = best.rule.effect === 'allow' ? 'allowed' : 'asked for';
  return { decision: best.rule.effect, rule: best.index, reason: `${verb} by ${describeRule(best.rule)}` };
}

function judgeLine(
  rules: readonly RankedRule[],
  call: JudgedCall,
  { line, read }: Extract<Subject, { kind: 'command' }>,
  matches: readonly Matched[],
): Judgement {
  const whole = decide(matches, `no rule speaks of ${call.tool}`);
  const decided = whole.rule === null ? undefined : rules[whole.rule];
  if (decided?.effect === 'ask' || (whole.rule === null && bestOf(matches) !== undefined)) return whole;
  if (decided !== undefined && isWhole(decided.pattern, line) && isWhole(decided.command, line)) return whole;
  const needed = read.segments.filter(({ inner, shadow }) => !shadow && (decided === undefined || inner));
  const opened =
    decided === undefined ? read.redirects.map((redirect) => judgeRedirect(rules, redirect)) : [];
  const judged = [...needed.map((segment) => judgeSegment(rules, call, segment)), ...opened];
  const strict = strictest(judged);
  if (strict !== undefined && strict.decision !== 'allow') return strict;
  const [doubt] = read.doubts;
  if (decided === undefined && doubt !== undefined) return { decision: 'ask', rule: null, reason: doubt };
  return decided === undefined ? (strict ?? whole) : whole;
}

function judgeSegment(rules: readonly RankedRule[], call: JudgedCall, segment: Segment): Judgement {
  const matches = rules.map((rule, index) => ({ rule, index, match: matchSegment(rule, call, segment) }));
  const denial = matches.find(({ rule, match }) => rule.effect === 'deny' && match === 'certain');
  if (denial)
    return { decision: 'deny', rule: denial.index, reason: `denied by ${describeRule(denial.rule)}` };
  const shown = showHoles(segment.exact);
  const [flag] = segment.flags;
  return decide(
    matches,
    `no rule speaks of \`${shown.slice(0, 200)}\`${flag === undefined ? '' : `: ${flag.reason}`}`,
  );
}

const harmlessTarget = /^\/dev\/(null|stdout|stderr|tty|fd\/\d+)$/;

/** A file that the shell opens for a command is judged as reading or writing it. */
function judgeRedirect(
  rules: readonly RankedRule[],
  { path, writes }: { path: string; writes: boolean },
): Judgement {
  if (harmlessTarget.test(path)) return { decision: 'allow', rule: null, reason: 'it holds nothing' };
  const tool = writes ? 'write_file' : 'read_file';
  const shown = showHoles(path);
  const matches = matchesOfFile(rules, tool, path);
  return decide(matches, `no rule speaks of ${writes ? 'writing' : 'reading'} ${shown}`);
}

function matchesOfFile(
  rules: readonly RankedRule[],
  tool: 'read_file' | 'write_file',
  path: string,
  options: { moves?: boolean; real?: string | null | undefined } = {},
): Matched[] {
  const inside = path.replace(/^\/workspace\//, '');
  // A hole could lead anywhere, as an absolute path does, and one that is read in a folder moved to.
  const isUnknown = path.includes(hole) || (options.moves === true && inside === path);
  const subject = isUnknown ? `/${path}` : inside;
  const effect = tool === 'write_file' ? 'workspace' : 'read';
  const call: JudgedCall = { tool, subject, effect, input: { path: inside } };
  const seen = readSubject(call, options.real === undefined ? [] : [options.real]);
  return rules.map((rule, index) => ({ rule, index, match: matchOf(rule, call, seen) }));
}

/** Rules that speak of writing files hold for a line's redirections too; where none does, the line's own hold. */
function judgeWrites(
  rules: readonly RankedRule[],
  { read }: Extract<Subject, { kind: 'command' }>,
  real: RealPaths['writes'] = new Map(),
): JudgedPart[] {
  const moves = read.segments.some(({ text }) =>
    /^(cd|pushd|popd|env -C|chroot|git -C|make -C)\b/.test(text),
  );
  return read.writes
    .filter((path) => !harmlessTarget.test(path))
    .flatMap((path) => {
      const matches = matchesOfFile(rules, 'write_file', path, { moves, real: real.get(path) });
      if (matches.every(({ match }) => match === 'none')) return [];
      const what = `writes ${showHoles(path)}`;
      const against = matches.find(({ rule, match }) => rule.effect === 'deny' && match !== 'none');
      if (against === undefined) return [{ what, ...decide(matches, 'no rule speaks of write_file') }];
      const decision = against.match === 'certain' ? ('deny' as const) : ('ask' as const);
      const verb = decision === 'deny' ? 'denied by' : 'perhaps denied by';
      return [
        {
          what,
          decision,
          rule: against.index,
          reason: `writing ${showHoles(path)} is ${verb} ${describeRule(against.rule)}`,
        },
      ];
    });
}
