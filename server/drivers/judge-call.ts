import type { JudgedCall, PolicyVerdict } from '../agent/ports.ts';
import type { Database } from '../database/database.ts';
import { readPolicy } from '../domain/policies/policies.ts';
import { type PolicyRule, type PolicyTargets, policyGuard } from '../tools/policy/judge.ts';

/** One voice on a call that is about to start; null where it has nothing to say of it. */
export type Guard = (call: JudgedCall) => Promise<PolicyVerdict | null>;

/** Whose calls are judged. */
export interface JudgedRun {
  runId: string;
  agentId: string;
  agent: string;
  agentRole: string;
  projectId: string;
  /** The agent's own rules, which the rules of the database come on top of. */
  policy: readonly PolicyRule[];
}

export interface JudgeParts {
  database: Database;
  /** Where a path of the workspace really leads; null where it leads out. */
  resolvePath?: PolicyTargets['resolvePath'];
  /** Further voices, such as limits. */
  guards?: readonly Guard[];
}

/**
 * The one place that decides whether a tool call may start: the policy and every further guard are heard, and the
 * strictest answer holds. The rules are read anew for each call, so that a change of them holds from the next one.
 */
export function openJudge(parts: JudgeParts, run: JudgedRun): (call: JudgedCall) => Promise<PolicyVerdict> {
  const policy: Guard = async (call) => {
    const { version, rules } = await readPolicy(parts.database, run);
    const targets = { resolvePath: parts.resolvePath };
    return { ...(await policyGuard([...run.policy, ...rules], call, targets)), version };
  };
  const guards = [policy, ...(parts.guards ?? [])];
  return async (call) => {
    let strictest: PolicyVerdict | null = null;
    for (const guard of guards) {
      const verdict = await guard(call);
      if (verdict === null) continue;
      if (strictest?.decision === 'ask' && verdict.decision === 'ask')
        strictest = askBoth(strictest, verdict);
      else if (strictest === null || severity[verdict.decision] > severity[strictest.decision])
        strictest = { ...verdict, ...versionOf(verdict, strictest) };
    }
    return strictest ?? { decision: 'ask', reason: 'nothing judged the call' };
  };
}

const severity = { allow: 0, ask: 1, deny: 2 } as const;

/** Two that ask are one ask with the reasons of both, so that a person decides once and knows all of it. */
function askBoth(first: PolicyVerdict, second: PolicyVerdict): PolicyVerdict {
  const leaves = [...(first.leaves ?? []), ...(second.leaves ?? [])];
  return {
    ...second,
    ...first,
    reason: `${first.reason}; ${second.reason}`,
    ...(leaves.length === 0 ? {} : { leaves }),
  };
}

/** The version of the policy that was heard stays named, whoever had the last word. */
function versionOf(verdict: PolicyVerdict, before: PolicyVerdict | null): { version?: number } {
  const version = verdict.version ?? before?.version;
  return version === undefined ? {} : { version };
}
