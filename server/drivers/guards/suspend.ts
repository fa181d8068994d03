import { sql } from '../../database/sql.ts';
import { wakeRun } from '../../runs/lease.ts';
import type { DriverParts } from '../parts.ts';
import { pausedResult, Rest } from '../rest.ts';

/** The rule says that what is out of the ordinary suspends: the agent takes no work, and its runs pause. */
export async function suspendForSurprise(
  parts: DriverParts,
  run: { runId: string },
  agent: { agentId: string; agent: string },
  reason: string,
): Promise<never> {
  await parts.database.transaction('limits.suspend', async (transaction) => {
    const runs = await transaction.many<{ id: string }>(
      sql`UPDATE runs SET control = 'pause' WHERE agent_id = ${agent.agentId} AND ended_at IS NULL
            AND control = 'go' AND id <> ${run.runId} RETURNING id`,
    );
    for (const { id } of runs)
      await wakeRun(transaction, {
        runId: id,
        actor: 'control-plane',
        now: parts.clock.now(),
        reason: `${agent.agent} is suspended: ${reason}`,
      });
  });
  throw new Rest(pausedResult(parts));
}
