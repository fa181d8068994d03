import type { KeptFrom, Step, Taint } from '../../../contract/steps.ts';
import { addressedHosts } from '../../domain/taint/destinations.ts';
import {
  describeTaint,
  foldTaint,
  isDangerous,
  readDepartures,
  type TaintContext,
  taintOf,
} from '../../domain/taint/taint.ts';
import type { Guard } from '../judge-call.ts';

export interface DepartureContext {
  steps(): readonly Step[];
  taint: TaintContext;
  /** Hosts that the task names, as a person wrote it. */
  named: ReadonlySet<string>;
  /** Whether commands of this run can reach any host at all. */
  hasNetwork: boolean;
}

/**
 * Why a host may not be reached before a person says so; null where it may.
 * @param now what the call that is under way brings in, before it is recorded
 */
export function keepFrom(host: string, context: DepartureContext, now: readonly Taint[]): KeptFrom | null {
  if (context.named.has(host)) return null;
  const taint = foldTaint(context.steps(), [...context.taint.base, ...now]);
  if (!isDangerous(taint)) return null;
  if (readDepartures(context.steps()).approved.has(host)) return null;
  return { host, reason: `${describeTaint(taint)}, and its task does not name ${host}` };
}

/**
 * Asks before something leaves for a place that the task does not name, once the run has read both private data
 * and words of others; and for the hosts that an earlier command was kept from. What a command really reaches is held at
 * the proxy: this is so that a person is asked before it, and by name.
 */
export function openDepartureGuard(context: DepartureContext): Guard {
  return async (call) => {
    const { approved, refused, wanted } = readDepartures(context.steps());
    const leaving = new Map<string, string>();
    const now = taintOf({ ...call, name: call.tool, answered: [] }, { output: '' }, context.taint);
    if (call.tool === 'run_command' && context.hasNetwork) {
      for (const [host, reason] of wanted) leaving.set(host, reason);
      for (const host of addressedHosts(call.subject)) {
        const kept = keepFrom(host, context, now);
        if (kept !== null) leaving.set(host, kept.reason);
      }
    }
    if (call.effect === 'external') {
      const hosts = addressedHosts(JSON.stringify(call.input) ?? '');
      for (const host of hosts.length === 0 ? [call.tool] : hosts) {
        const kept = keepFrom(host, context, now);
        if (kept !== null && !approved.has(host)) leaving.set(host, kept.reason);
      }
    }
    if (leaving.size === 0) return null;
    const hosts = [...leaving.keys()];
    const denied = hosts.find((host) => refused.has(host));
    if (denied !== undefined && call.effect !== 'external')
      return { decision: 'deny', reason: `a person did not let this run reach ${denied}` };
    return {
      decision: 'ask',
      reason: `it may send something to ${hosts.join(', ')}: ${[...new Set(leaving.values())].join('; ')}. Approved, this run may reach ${hosts.length === 1 ? 'that host' : 'those hosts'} until it ends`,
      leaves: hosts,
    };
  };
}
