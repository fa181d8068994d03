import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { listAgentNames } from '../principals/principals.ts';

/** How our own loop is to run a task: kept with it, so that it can begin later and again. */
export interface RunPlan {
  agentId: string;
  model: string;
  limitMicros: number;
  limitTokens: number;
  dayLimitMicros: number;
}

export interface Assignee {
  id: string;
  name: string;
  runtime: 'builtin' | 'foreign';
  model: string;
}

/** @throws AppError unprocessable */
export async function findAssignee(database: Queryable, nameOrId: string): Promise<Assignee> {
  const agent = await database.maybe<Assignee>(
    sql`SELECT id, name, runtime, model FROM agents WHERE name = ${nameOrId} OR id = ${nameOrId}
        ORDER BY (id = ${nameOrId}) DESC LIMIT 1`,
  );
  if (agent !== undefined) return agent;
  const names = await listAgentNames(database);
  throw new AppError('unprocessable', `there is no agent ${nameOrId}; there are: ${names.join(', ')}`);
}
