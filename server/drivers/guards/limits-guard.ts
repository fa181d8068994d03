import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../contract/canonical-json.ts';
import type { Step } from '../../../contract/steps.ts';
import type { JudgedCall, PolicyVerdict } from '../../agent/ports.ts';
import type { Database } from '../../database/database.ts';
import { enterCall, type OverRate, readLimits } from '../../domain/limits/limits.ts';
import { findSurprises, type Past, type Surprise } from '../../domain/limits/ordinary.ts';
import { keepSurprise, readPast } from '../../domain/limits/past.ts';
import { matchesName } from '../../tools/glob.ts';
import type { Guard } from '../judge-call.ts';

/** Whose calls are held against limits. */
export interface LimitedRun {
  runId: string;
  taskId: string;
  agentId: string;
  agent: string;
}

export interface LimitsParts {
  database: Database;
  steps(): readonly Step[];
  /** Suspends the agent and brings this run to rest. */
  suspend(reason: string): Promise<never>;
}

/** What an agent can always do: say something, ask, and end a phase. */
const always = new Set(['ask_human', 'note', 'finish_phase']);

/** Holds a run's calls against its agent's limits and past. */
export class LimitsGuard {
  readonly #parts: LimitsParts;
  readonly #run: LimitedRun;
  #past: Past | null = null;
  #over: OverRate | null = null;

  constructor(parts: LimitsParts, run: LimitedRun) {
    this.#parts = parts;
    this.#run = run;
  }

  /**
   * Counts a call that is about to begin. Until when it has to wait, where the agent is over a rate and the rule is
   * to wait; where the rule is to ask, the guard asks.
   * @param call.tool null for a model's call, which always waits
   */
  async enter(call: { ref: string; tool: string | null }): Promise<OverRate | null> {
    const { runId, agentId } = this.#run;
    this.#over = null;
    const command = call.tool === 'run_command';
    const over = await enterCall(this.#parts.database, { runId, agentId, ref: call.ref, command });
    if (over === null || call.tool === null) return over;
    const { over: rule } = await readLimits(this.#parts.database, agentId);
    if (rule === 'wait') return over;
    this.#over = over;
    return null;
  }

  readonly guard: Guard = async (call) => {
    if (always.has(call.tool)) return null;
    const limits = await readLimits(this.#parts.database, this.#run.agentId);
    const { tools, outside, ordinary } = limits;
    if (tools !== null && !tools.some((pattern) => matchesName(pattern, call.tool))) {
      return {
        decision: outside,
        reason: `${call.tool} is not among the tools that this agent is limited to`,
      };
    }
    if (this.#over !== null) return { decision: 'ask', reason: this.#over.reason };
    return ordinary === 'off' ? null : this.#judgeOrdinary(call, limits);
  };

  /** Why a host is not reached before a person says so; null where nothing speaks against it. */
  async keepFrom(host: string): Promise<{ reason: string; mayAsk: boolean } | null> {
    const { hosts, outside, ordinary, ...rule } = await readLimits(this.#parts.database, this.#run.agentId);
    if (hosts !== null && !hosts.some((pattern) => matchesHost(pattern, host)))
      return {
        reason: `${host} is not among the hosts that this agent is limited to`,
        mayAsk: outside === 'ask',
      };
    if (ordinary === 'off') return null;
    const [surprise] = findSurprises(await this.#readPast(), { ...nothing, host }, rule);
    if (surprise === undefined) return null;
    await this.#keep(surprise, host, 'ask');
    return { reason: surprise.reason, mayAsk: true };
  }

  async #judgeOrdinary(
    call: JudgedCall,
    limits: { ordinary: 'ask' | 'suspend' | 'off'; learningRuns: number; factor: number },
  ): Promise<PolicyVerdict | null> {
    const past = await this.#readPast();
    if (past.runs < limits.learningRuns) return null;
    const steps = this.#parts.steps();
    const calls = steps.filter((step) => step.kind === 'tool');
    const done = calls.filter(({ status }) => status === 'done').map(({ name }) => name);
    const present = {
      tool: call.tool,
      host: null,
      spentMicros: steps.reduce((sum, { costMicros }) => sum + (costMicros ?? 0), 0),
      errors: calls.filter(({ status }) => status === 'failed').length,
    };
    const known = { ...past, tools: new Set([...past.tools, ...done]) };
    const decision = limits.ordinary === 'suspend' ? 'suspend' : 'ask';
    const reasons: string[] = [];
    for (const surprise of findSurprises(known, present, limits)) {
      const noticed = await this.#keep(surprise, hashOf(call), decision);
      if (decision === 'suspend') {
        if (noticed.isNew) await this.#parts.suspend(surprise.reason);
      } else if (surprise.kind === 'tool' || noticed.call === hashOf(call)) {
        reasons.push(surprise.reason);
      }
    }
    return reasons.length === 0
      ? null
      : { decision: 'ask', reason: `out of the ordinary: ${reasons.join('; ')}` };
  }

  #keep(surprise: Surprise, call: string, decision: 'ask' | 'suspend') {
    return keepSurprise(this.#parts.database, this.#run, { ...surprise, call, decision });
  }

  /** Runs that ended while this one works change nothing for it. */
  async #readPast(): Promise<Past> {
    this.#past ??= await readPast(this.#parts.database, this.#run);
    return this.#past;
  }
}

const nothing = { tool: null, host: null, spentMicros: 0, errors: 0 };

function matchesHost(pattern: string, host: string): boolean {
  const wanted = pattern.toLowerCase();
  return wanted.startsWith('*.') ? host.endsWith(wanted.slice(1)) : host === wanted;
}

function hashOf({ tool, input }: JudgedCall): string {
  return createHash('sha256').update(canonicalJson({ tool, input })).digest('hex');
}
