import type { AskReport } from '../../contract/asks.ts';
import type { PolicyExplanation, TestPolicyBody } from '../../contract/policies.ts';
import type { Database } from '../database/database.ts';
import { type Actor, sees } from '../domain/actor.ts';
import { listDecidedCalls, readAskCounts } from '../domain/asks/report.ts';
import { findJudged, readPolicy } from '../domain/policies/policies.ts';
import { AppError } from '../errors.ts';
import { findBestRule } from '../tools/policy/best-rule.ts';
import { explain, judge } from '../tools/policy/judge.ts';
import type { Tool } from '../tools/tool.ts';

/** What people are told of the policy. */
export interface PolicyDesk {
  /** Judges a call that nobody makes, and explains it. @throws AppError not_found, unprocessable */
  test(actor: Actor, body: TestPolicyBody): Promise<PolicyExplanation>;
  report(actor: Actor, days: number): Promise<AskReport>;
}

export function openPolicyDesk(database: Database, tools: readonly Tool[]): PolicyDesk {
  return {
    async test(actor, { agent, project = null, tool: name, subject, input }) {
      const judged = await findJudged(database, agent, project);
      if (judged.projectId !== null && !sees(actor, judged.projectId))
        throw new AppError('not_found', `there is no project ${project}`);
      const tool = tools.find((candidate) => candidate.name === name);
      const call = {
        tool: name,
        effect: tool?.effect ?? ('external' as const),
        ...readInput(tool, subject, input),
      };
      const { version, rules } = await readPolicy(database, { ...judged, runId: null });
      const all = [...judged.policy, ...rules];
      const { decision, reason } = judge(all, call);
      const parts = explain(all, call).map((part) => ({
        what: part.what,
        decision: part.decision,
        reason: part.reason,
      }));
      return { decision, reason, version, parts };
    },
    async report(actor, days) {
      const counts = await readAskCounts(database, actor, days);
      const effects = new Map(tools.map(({ name, effect }) => [name, effect]));
      const calls = (await listDecidedCalls(database, actor, days)).map((call) => ({
        ...call,
        effect: effects.get(call.tool) ?? ('external' as const),
      }));
      const best = findBestRule(calls);
      if (best === null) return { ...counts, offer: null };
      const { rule, agent, project, saves } = best;
      return {
        ...counts,
        offer: { rule, scope: { agent, ...(project === null ? {} : { project }) }, saves },
      };
    },
  };
}

/** A call from its subject alone, or from its whole arguments. */
function readInput(
  tool: Tool | undefined,
  subject: string,
  input: Record<string, unknown> | undefined,
): { subject: string; input: Record<string, unknown> } {
  if (input === undefined) {
    return { subject, input: tool?.name === 'run_command' ? { command: subject } : { path: subject } };
  }
  if (tool === undefined) return { subject, input };
  const parsed = tool.input.safeParse(input);
  if (!parsed.success)
    throw new AppError('unprocessable', `these are no arguments of ${tool.name}: ${parsed.error.message}`);
  return { subject: tool.subject(parsed.data), input };
}
