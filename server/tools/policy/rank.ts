import { type PolicyRule, ruleWords } from '../../../contract/policies.ts';

/** A rule with what tells it apart from the others that say the same. */
export type RankedRule = PolicyRule & {
  /** Its number in the database; an agent's own rules have none. */
  number?: number;
  /** How narrowly it says whom it speaks of; 0 for the agent's own rules, which the others come on top of. */
  weight?: number;
};

/** Positive where `a` outranks `b`. */
export function compareRank(a: RankedRule, b: RankedRule): number {
  const left = rank(a);
  const right = rank(b);
  for (const [index, value] of left.entries()) {
    const difference = value - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rank(rule: RankedRule): number[] {
  const literal = (text: string) => text.replaceAll('*', '').length;
  const patterns = [
    rule.pattern,
    rule.command,
    rule.path,
    rule.host,
    ...Object.values(rule.arguments ?? {}),
  ].filter((pattern) => pattern !== undefined);
  return [
    Number(rule.source === 'ask'),
    Number(!rule.tool.includes('*')),
    Number(rule.input !== undefined),
    Number(patterns.length > 0),
    patterns.reduce((sum, pattern) => sum + literal(pattern), 0),
    Number(patterns.length > 0 && patterns.every((pattern) => !pattern.includes('*'))),
    literal(rule.tool),
    Number(rule.touches !== undefined),
    rule.weight ?? 0,
  ];
}

export function describeRule(rule: RankedRule): string {
  const name = rule.number === undefined ? 'the rule' : `rule ${rule.number}`;
  return `${name} "${ruleWords(rule)}"`;
}
