import { fullActor } from '../../domain/actor.ts';
import { suspendAgent } from '../../domain/agents/presence.ts';
import type { DriverParts } from '../parts.ts';
import { pausedResult, Rest } from '../rest.ts';

const controlPlane = fullActor({ id: 'control-plane', name: 'control-plane', role: 'admin' });

/** The rule says that what is out of the ordinary suspends: the agent takes no work, and its runs pause. */
export async function suspendForSurprise(
  parts: DriverParts,
  agent: { agentId: string },
  reason: string,
): Promise<never> {
  const { database, clock } = parts;
  await suspendAgent({ database, now: () => clock.now() }, controlPlane, agent.agentId, reason);
  throw new Rest(pausedResult(parts));
}
