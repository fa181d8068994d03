/** What an agent's runs were like, and what the present one is like. */
export interface Past {
  /** Runs that ended before this one. */
  runs: number;
  tools: ReadonlySet<string>;
  hosts: ReadonlySet<string>;
  /** Of its last runs, in millionths of a US dollar. */
  spentMicros: readonly number[];
  /** Of its last runs: tool calls that failed. */
  errors: readonly number[];
}

export interface Present {
  tool: string | null;
  host: string | null;
  spentMicros: number;
  errors: number;
}

export interface OrdinaryRule {
  learningRuns: number;
  factor: number;
}

export interface Surprise {
  kind: 'tool' | 'host' | 'spend' | 'errors';
  /** The tool, the host, or how often the bound has doubled: a surprise is told once for each. */
  subject: string;
  reason: string;
}

/** Nobody is asked about less than this, however little the past runs took. */
export const floors = { spentMicros: 1_000_000, errors: 15 } as const;

/**
 * What is out of an agent's ordinary range. Until it has a past of `learningRuns` there is no range, so that the first
 * tasks of a new agent are not asked about. Spend and errors are held against `factor` times the median of the
 * last runs, which a single wild run does not move, and never against less than a floor; above that bound each
 * doubling is a surprise of its own, so that a person who let it go on is not asked at every call.
 */
export function findSurprises(past: Past, present: Present, rule: OrdinaryRule): Surprise[] {
  if (past.runs < rule.learningRuns) return [];
  const found: Surprise[] = [];
  const known = `in its ${past.runs} ${past.runs === 1 ? 'run' : 'runs'} before`;
  if (present.tool !== null && !past.tools.has(present.tool)) {
    const reason = `this agent has never used the tool ${present.tool} ${known}`;
    found.push({ kind: 'tool', subject: present.tool, reason });
  }
  if (present.host !== null && !past.hosts.has(present.host)) {
    const reason = `this agent has never reached the host ${present.host} ${known}`;
    found.push({ kind: 'host', subject: present.host, reason });
  }
  const spend = exceed(present.spentMicros, past.spentMicros, floors.spentMicros, rule.factor);
  if (spend !== null) {
    const reason = `this run has spent ${dollars(present.spentMicros)}; the median of this agent's last ${past.spentMicros.length} runs is ${dollars(median(past.spentMicros))}`;
    found.push({ kind: 'spend', subject: `above ${dollars(spend)}`, reason });
  }
  const errors = exceed(present.errors, past.errors, floors.errors, rule.factor);
  if (errors !== null) {
    const reason = `${present.errors} calls of this run have failed; the median of this agent's last ${past.errors.length} runs is ${median(past.errors)}`;
    found.push({ kind: 'errors', subject: `above ${errors}`, reason });
  }
  return found;
}

/** The highest doubling of the bound that a value has passed; null where it is within. */
function exceed(value: number, past: readonly number[], floor: number, factor: number): number | null {
  const bound = Math.max(floor, Math.round(median(past) * factor));
  if (value <= bound) return null;
  return bound * 2 ** Math.floor(Math.log2(value / bound));
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

const dollars = (micros: number) => `$${(micros / 1e6).toFixed(2)}`;
