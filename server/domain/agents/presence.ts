import type { AgentView } from '../../../contract/agents.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { wakeRun } from '../../runs/lease.ts';
import { signOfLife } from '../../runs/sign-of-life.ts';
import { setTimer } from '../../runs/timers.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { getAgent, lockAgent } from './agents.ts';

interface PresenceContext {
  database: Database;
  now: () => number;
}

/**
 * A foreign agent says that it is there.
 * @throws AppError not_found, forbidden for the heartbeat of another, unprocessable for one of our own agents
 */
export async function heartbeatAgent(
  { database, now }: PresenceContext,
  actor: Actor,
  nameOrId: string,
): Promise<AgentView> {
  const agent = await getAgent(database, nameOrId);
  if (agent.id !== actor.id && !actor.permissions.includes('agents:manage'))
    throw new AppError('forbidden', `You are not ${agent.name}: each agent tells only of itself.`);
  if (agent.runtime !== 'foreign')
    throw new AppError('unprocessable', `${agent.name} is one of our own agents: its workers tell of it.`);
  await database.write(
    'agents.heartbeat',
    sql`WITH holder AS (
          SELECT online, last_seen_at FROM agents WHERE id = ${agent.id} FOR NO KEY UPDATE
        ), ${signOfLife(agent.id, now())}
        SELECT 1`,
  );
  return getAgent(database, agent.id);
}

/** Two heartbeats were due since the last sign of life: the agent is offline. Its leases end by themselves. */
export async function noticeSilence(transaction: Transaction, agentId: string, now: number): Promise<void> {
  const agent = await transaction.maybe<{ lastSeenAt: string; heartbeatSeconds: number }>(
    sql`SELECT last_seen_at AS "lastSeenAt", heartbeat_seconds AS "heartbeatSeconds" FROM agents
        WHERE id = ${agentId} AND online AND runtime = 'foreign' FOR NO KEY UPDATE`,
  );
  if (agent === undefined) return;
  const dueAt = Date.parse(agent.lastSeenAt) + 2_000 * agent.heartbeatSeconds;
  if (dueAt > now) return setTimer(transaction, { kind: 'agent.silence', ref: agentId, dueAt });
  await transaction.many(sql`UPDATE agents SET online = false WHERE id = ${agentId}`);
  await appendEvents(transaction, [
    {
      type: 'agent.offline',
      entityType: 'agent',
      entityId: agentId,
      actor: 'control-plane',
      data: { lastSeenAt: agent.lastSeenAt },
    },
  ]);
}

/**
 * A suspended agent claims nothing and changes nothing: its runs here pause, and what it holds elsewhere goes back to
 * the others with the lease. Suspended again, it is answered alike.
 * @throws AppError not_found, forbidden
 */
export async function suspendAgent(
  { database, now }: PresenceContext,
  actor: Actor,
  nameOrId: string,
  reason: string,
): Promise<AgentView> {
  requirePermission(actor, 'agents:manage');
  return database.transaction('agents.suspend', async (transaction) => {
    const agent = await lockAgent(transaction, nameOrId);
    if (agent.suspended) return getAgent(transaction, agent.id);
    await transaction.many(
      sql`UPDATE agents SET suspended_at = now(), suspended_by = ${actor.name}, version = version + 1, updated_at = now()
          WHERE id = ${agent.id}`,
    );
    await appendEvents(transaction, [
      {
        type: 'agent.suspended',
        entityType: 'agent',
        entityId: agent.id,
        actor: actor.name,
        data: { reason },
      },
    ]);
    await steer(transaction, agent.id, 'pause', actor.name, now());
    return getAgent(transaction, agent.id);
  });
}

/** What its suspension paused goes on; what a person paused does not. @throws AppError not_found, forbidden */
export async function resumeAgent(
  { database, now }: PresenceContext,
  actor: Actor,
  nameOrId: string,
): Promise<AgentView> {
  requirePermission(actor, 'agents:manage');
  return database.transaction('agents.resume', async (transaction) => {
    const agent = await lockAgent(transaction, nameOrId);
    if (!agent.suspended) return getAgent(transaction, agent.id);
    await transaction.many(
      sql`UPDATE agents SET suspended_at = NULL, suspended_by = NULL, version = version + 1, updated_at = now()
          WHERE id = ${agent.id}`,
    );
    await appendEvents(transaction, [
      { type: 'agent.resumed', entityType: 'agent', entityId: agent.id, actor: actor.name },
    ]);
    await steer(transaction, agent.id, 'go', actor.name, now());
    return getAgent(transaction, agent.id);
  });
}

async function steer(
  transaction: Transaction,
  agentId: string,
  control: 'pause' | 'go',
  actor: string,
  now: number,
): Promise<void> {
  const runs = await transaction.many<{ id: string; taskId: string }>(
    control === 'pause'
      ? sql`UPDATE runs SET control = 'pause', suspended = true
            WHERE agent_id = ${agentId} AND ended_at IS NULL AND kind = 'task' AND control = 'go'
            RETURNING id, task_id AS "taskId"`
      : sql`UPDATE runs SET control = 'go', suspended = false
            WHERE agent_id = ${agentId} AND ended_at IS NULL AND suspended AND control = 'pause'
            RETURNING id, task_id AS "taskId"`,
  );
  for (const { id, taskId } of runs) {
    await appendEvents(transaction, [
      {
        type: 'run.control_requested',
        entityType: 'run',
        entityId: id,
        runId: id,
        taskId,
        actor,
        data: { control },
      },
    ]);
    const reason = control === 'pause' ? 'its agent was suspended' : 'its agent may work again';
    await wakeRun(transaction, { runId: id, actor, now, reason });
  }
}
