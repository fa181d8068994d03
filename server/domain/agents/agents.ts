import { randomBytes } from 'node:crypto';
import type { AgentView, RegisterAgentBody, UpdateAgentBody } from '../../../contract/agents.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { isUniqueViolation } from '../../database/database-errors.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { requireVersion } from '../idempotency/versions.ts';
import { hashKey } from '../principals/principals.ts';
import { requireNoMore, rightsOf } from '../principals/rights.ts';

/** Runs that it works on: its leases say so, and nothing is counted apart from them. */
const live = sql`CASE agents.runtime WHEN 'foreign' THEN (SELECT count(*) FROM runs WHERE runs.worker_id = agents.id)
  ELSE (SELECT count(*) FROM runs WHERE runs.worker_id IS NOT NULL AND runs.agent_id = agents.id) END`;

const columns = sql`agents.id, agents.name, agents.role, agents.runtime,
  CASE WHEN suspended_at IS NOT NULL THEN 'suspended'
    WHEN agents.runtime = 'foreign' AND NOT online THEN 'offline'
    WHEN agents.runtime = 'builtin' AND NOT EXISTS (SELECT FROM workers) THEN 'offline'
    WHEN live.runs = 0 THEN 'idle' WHEN live.runs >= capacity THEN 'busy' ELSE 'active' END AS status,
  CASE agents.runtime WHEN 'builtin' THEN agents.model END AS model, skills, capacity, live.runs,
  heartbeat_seconds AS "heartbeatSeconds", last_seen_at AS "lastSeenAt", suspended_by AS "suspendedBy",
  metadata, version, created_at AS "createdAt", updated_at AS "updatedAt"`;
const tables = sql`agents CROSS JOIN LATERAL (SELECT (${live})::integer AS runs) AS live`;

/** @throws AppError not_found */
export async function getAgent(database: Queryable, nameOrId: string): Promise<AgentView> {
  const agent = await database.maybe<AgentView>(
    sql`SELECT ${columns} FROM ${tables} WHERE agents.id = ${nameOrId} OR agents.name = ${nameOrId}
        ORDER BY (agents.id = ${nameOrId}) DESC LIMIT 1`,
  );
  if (agent === undefined) throw unknownAgent(nameOrId);
  return agent;
}

export async function listAgents(
  database: Queryable,
  filter: { runtime?: string | undefined; before?: string | undefined; limit: number },
): Promise<AgentView[]> {
  return database.many<AgentView>(
    sql`SELECT ${columns} FROM ${tables} WHERE true
        ${filter.runtime === undefined ? empty : sql`AND agents.runtime = ${filter.runtime}`}
        ${filter.before === undefined ? empty : sql`AND agents.id < ${filter.before}`}
        ORDER BY agents.id DESC LIMIT ${filter.limit}`,
  );
}

/**
 * Registers a foreign agent with a key of its own, which is shown this once. An agent that names itself only says
 * that it is there: its profile is an admin's to change.
 * @throws AppError forbidden, conflict
 */
export async function registerForeignAgent(
  database: Database,
  actor: Actor,
  body: RegisterAgentBody,
): Promise<{ agent: AgentView; key: string | null }> {
  if (!actor.permissions.includes('agents:manage')) {
    if (actor.name !== body.name) {
      throw new AppError(
        'forbidden',
        'Only admins register agents; an agent may name itself, to say that it is there.',
      );
    }
    return { agent: await getAgent(database, actor.id), key: null };
  }
  requireNoMore(actor, rightsOf('agent', actor.projects));
  const key = `mc_${randomBytes(32).toString('base64url')}`;
  try {
    const agent = await database.transaction('agents.register', (transaction) =>
      insertForeignAgent(transaction, actor, body, key),
    );
    return { agent, key };
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new AppError(
      'conflict',
      `${body.name} is taken; choose another name, or PATCH /agents/${body.name}`,
      {
        cause: error,
      },
    );
  }
}

async function insertForeignAgent(
  transaction: Transaction,
  actor: Actor,
  body: RegisterAgentBody,
  key: string,
): Promise<AgentView> {
  const id = newId('agt');
  await transaction.many(
    sql`INSERT INTO principals (id, kind, name, role, all_projects)
        VALUES (${id}, 'agent', ${body.name}, 'agent', ${actor.projects === null})`,
  );
  await transaction.many(
    sql`INSERT INTO principal_projects (principal_id, project_id)
        SELECT ${id}, unnest(${actor.projects ?? []}::text[])`,
  );
  await transaction.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, fallback_models, playbook, policy, runtime, skills, capacity, heartbeat_seconds, metadata)
        VALUES (${id}, ${body.name}, ${body.role ?? 'worker'}, '', 'external', '[]', 'external', '[]', 'foreign',
          ${body.skills ?? []}::text[], ${body.capacity ?? 1}, ${body.heartbeatSeconds ?? 30}, ${json(body.metadata ?? {})})`,
  );
  const keyId = newId('key');
  const label = `of the agent ${body.name}`;
  await transaction.many(
    sql`INSERT INTO api_keys (id, principal_id, hash, label, created_by)
        VALUES (${keyId}, ${id}, ${hashKey(key)}, ${label}, ${actor.name})`,
  );
  await appendEvents(transaction, [
    {
      type: 'agent.registered',
      entityType: 'agent',
      entityId: id,
      actor: actor.name,
      data: { name: body.name, runtime: 'foreign', skills: body.skills ?? [] },
    },
    {
      type: 'key.created',
      entityType: 'key',
      entityId: keyId,
      actor: actor.name,
      data: { principal: body.name, label, scopes: null, projects: null },
    },
  ]);
  return getAgent(transaction, id);
}

/** Never by the agent itself. @throws AppError not_found, forbidden, precondition_failed, unprocessable */
export async function updateAgent(
  database: Database,
  actor: Actor,
  nameOrId: string,
  body: UpdateAgentBody,
  expected?: number,
): Promise<AgentView> {
  requirePermission(actor, 'agents:manage');
  return database.transaction('agents.update', async (transaction) => {
    const agent = await lockAgent(transaction, nameOrId);
    if (expected !== undefined)
      await requireVersion(transaction, { noun: 'agent', id: agent.id, version: expected });
    if (agent.runtime === 'foreign' && body.capacity === null)
      throw new AppError('unprocessable', 'A foreign agent has a capacity: give a number.');
    if (agent.runtime === 'builtin' && body.capacity !== undefined) {
      throw new AppError(
        'unprocessable',
        'One of our own agents works on as much as the workers take: set "workers": {"capacity": …} in mission.config.json.',
      );
    }
    if (agent.runtime === 'builtin' && body.heartbeatSeconds !== undefined)
      throw new AppError('unprocessable', 'One of our own agents sends no heartbeats: its workers do.');
    const changed = Object.keys(body);
    if (changed.length === 0) return getAgent(transaction, agent.id);
    await transaction.many(
      sql`UPDATE agents SET version = version + 1, updated_at = now()
            ${set(body.role, (value) => sql`, role = ${value}`)}
            ${set(body.skills, (value) => sql`, skills = ${value}::text[]`)}
            ${set(body.capacity, (value) => sql`, capacity = ${value}`)}
            ${set(body.heartbeatSeconds, (value) => sql`, heartbeat_seconds = ${value}`)}
            ${set(body.metadata, (value) => sql`, metadata = ${json(value)}`)}
          WHERE id = ${agent.id}`,
    );
    await appendEvents(transaction, [
      {
        type: 'agent.updated',
        entityType: 'agent',
        entityId: agent.id,
        actor: actor.name,
        data: { changed },
      },
    ]);
    return getAgent(transaction, agent.id);
  });
}

/** @throws AppError not_found */
export async function lockAgent(
  transaction: Transaction,
  nameOrId: string,
): Promise<{ id: string; name: string; runtime: 'builtin' | 'foreign'; suspended: boolean }> {
  const agent = await transaction.maybe<{
    id: string;
    name: string;
    runtime: 'builtin' | 'foreign';
    suspended: boolean;
  }>(
    sql`SELECT id, name, runtime, suspended_at IS NOT NULL AS suspended FROM agents
        WHERE id = ${nameOrId} OR name = ${nameOrId} ORDER BY (id = ${nameOrId}) DESC LIMIT 1 FOR UPDATE`,
  );
  if (agent === undefined) throw unknownAgent(nameOrId);
  return agent;
}

function set<T>(value: T | undefined, make: (value: T) => Sql): Sql {
  return value === undefined ? empty : make(value);
}

const unknownAgent = (nameOrId: string) =>
  new AppError('not_found', `there is no agent ${nameOrId}; list them with GET /agents`);
