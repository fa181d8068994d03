import { type AgentLimits, type AgentLimitsView, agentLimits } from '../../../contract/limits.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { wakeRun } from '../../runs/lease.ts';
import type { Actor } from '../actor.ts';
import { readToday } from '../budgets/budgets.ts';
import { ensureBudget } from '../budgets/scopes.ts';

/** The limits of an agent; the defaults where nobody set any. */
export async function readLimits(database: Queryable, agentId: string): Promise<AgentLimits> {
  const row = await database.maybe<{ settings: unknown }>(
    sql`SELECT settings FROM agent_limits WHERE agent_id = ${agentId}`,
  );
  return agentLimits.parse(row?.settings ?? {});
}

/** @param agent its id or name. @throws AppError not_found */
export async function showLimits(database: Queryable, agent: string): Promise<AgentLimitsView> {
  const row = await database.maybe<Omit<AgentLimitsView, 'limits' | 'used'> & { settings: unknown }>(
    sql`SELECT agents.name AS agent, agents.id AS "agentId", settings, updated_by AS "updatedBy", agent_limits.updated_at AS "updatedAt"
        FROM agents LEFT JOIN agent_limits ON agent_id = agents.id WHERE agents.id = ${agent} OR agents.name = ${agent}`,
  );
  if (row === undefined) throw new AppError('not_found', `there is no agent ${agent}`);
  const { settings, ...view } = row;
  const { minute, hour, commands } = await readRate(database, row.agentId);
  return {
    ...view,
    limits: agentLimits.parse(settings ?? {}),
    used: { callsLastMinute: minute, callsLastHour: hour, commandsLastHour: commands },
  };
}

/**
 * Sets all limits of an agent; they hold from its next call on, and its runs that wait look again.
 * @param agent its id or name
 * @throws AppError not_found
 */
export async function setLimits(
  context: { database: Database; now: () => number },
  actor: Actor,
  agent: string,
  limits: AgentLimits,
): Promise<AgentLimitsView> {
  return context.database.transaction('limits.set', async (transaction) => {
    const { agentId } = await showLimits(transaction, agent);
    // Runs before budgets, as every call locks them.
    await wakeWaiting(transaction, actor, agentId, context.now());
    await transaction.many(
      sql`INSERT INTO agent_limits (agent_id, settings, updated_by) VALUES (${agentId}, ${json(limits)}, ${actor.name})
          ON CONFLICT (agent_id) DO UPDATE SET settings = excluded.settings, updated_by = excluded.updated_by,
            updated_at = excluded.updated_at`,
    );
    await limitDay(transaction, agentId, limits.dayUsd);
    await appendEvents(transaction, [
      { type: 'agent.limited', entityType: 'agent', entityId: agentId, actor: actor.name, data: { limits } },
    ]);
    return showLimits(transaction, agentId);
  });
}

async function limitDay(transaction: Transaction, agentId: string, dayUsd: number | null): Promise<void> {
  const key = `${agentId}/${await readToday(transaction)}`;
  const limitMicros = dayUsd === null ? null : Math.round(dayUsd * 1e6);
  await ensureBudget(transaction, { scope: 'agent_day', key, limitTokens: null, limitMicros });
  await transaction.many(
    sql`UPDATE budgets SET limit_micros = ${limitMicros} WHERE scope = 'agent_day' AND scope_key = ${key}`,
  );
}

async function wakeWaiting(
  transaction: Transaction,
  actor: Actor,
  agentId: string,
  now: number,
): Promise<void> {
  const runs = await transaction.many<{ id: string }>(
    sql`SELECT id FROM runs WHERE agent_id = ${agentId} AND status = 'waiting' AND ended_at IS NULL
          AND waiting ->> 'on' IN ('timer', 'budget') ORDER BY id`,
  );
  for (const { id } of runs)
    await wakeRun(transaction, {
      runId: id,
      actor: actor.name,
      now,
      reason: "its agent's limits were changed",
    });
}

/** A call that is about to start; `ref` is the same when it is begun again after a crash. */
export interface Call {
  agentId: string;
  runId: string;
  ref: string;
  command: boolean;
}

export interface OverRate {
  /** When there is room again, in milliseconds since 1970. */
  until: number;
  reason: string;
}

/**
 * Counts a call against its agent's rates, exactly, however many runs call at once. Null where it may start; a call
 * that is over is not counted.
 */
export async function enterCall(database: Database, call: Call): Promise<OverRate | null> {
  const { callsPerMinute, callsPerHour, commandsPerHour } = await readLimits(database, call.agentId);
  if (callsPerMinute === null && callsPerHour === null && (commandsPerHour === null || !call.command))
    return null;
  return database.transaction('limits.enter', async (transaction) => {
    await transaction.many(sql`SELECT FROM agent_limits WHERE agent_id = ${call.agentId} FOR UPDATE`);
    await transaction.many(
      sql`DELETE FROM agent_calls WHERE agent_id = ${call.agentId} AND at < clock_timestamp() - interval '1 hour'`,
    );
    const known = await transaction.maybe(
      sql`SELECT FROM agent_calls WHERE run_id = ${call.runId} AND ref = ${call.ref}`,
    );
    if (known !== undefined) return null;
    const used = await readRate(transaction, call.agentId);
    const limits = [
      { limit: callsPerMinute, used: used.minute, room: used.minuteRoom, words: 'calls a minute' },
      { limit: callsPerHour, used: used.hour, room: used.hourRoom, words: 'calls an hour' },
      ...(call.command
        ? [
            {
              limit: commandsPerHour,
              used: used.commands,
              room: used.commandsRoom,
              words: 'commands an hour',
            },
          ]
        : []),
    ];
    const over = limits.find(({ limit, used: taken }) => limit !== null && taken >= limit);
    if (over !== undefined) {
      const reason = `the agent is at its limit of ${over.limit} ${over.words}`;
      return { until: Date.parse(over.room ?? new Date().toISOString()), reason };
    }
    await transaction.many(
      sql`INSERT INTO agent_calls (agent_id, run_id, ref, command)
          VALUES (${call.agentId}, ${call.runId}, ${call.ref}, ${call.command})`,
    );
    return null;
  });
}

interface Rate {
  minute: number;
  hour: number;
  commands: number;
  /** When the oldest of each is out of its window. */
  minuteRoom: string | null;
  hourRoom: string | null;
  commandsRoom: string | null;
}

async function readRate(database: Queryable, agentId: string): Promise<Rate> {
  const inMinute = sql`at > clock_timestamp() - interval '1 minute'`;
  return database.one<Rate>(
    sql`SELECT count(*) FILTER (WHERE ${inMinute})::integer AS minute, count(*)::integer AS hour,
          count(*) FILTER (WHERE command)::integer AS commands,
          min(at) FILTER (WHERE ${inMinute}) + interval '1 minute' AS "minuteRoom",
          min(at) + interval '1 hour' AS "hourRoom",
          min(at) FILTER (WHERE command) + interval '1 hour' AS "commandsRoom"
        FROM agent_calls WHERE agent_id = ${agentId} AND at > clock_timestamp() - interval '1 hour'`,
  );
}
