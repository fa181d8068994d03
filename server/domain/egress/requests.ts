import type { EgressDecision, EgressRequestView } from '../../../contract/egress.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { type Actor, visibleTo } from '../actor.ts';

export interface EgressRecord {
  host: string;
  port: number;
  method: string;
  path: string;
  decision: EgressDecision;
  reason: string | null;
  secret: string | null;
  credential: string | null;
  status: number | null;
  sentBytes: number;
  receivedBytes: number;
}

/**
 * Keeps what a sandbox asked for. Of what was refused or stopped everything is told in the log; of what was allowed
 * the first request of a run to a host, and the first use of a credential.
 */
export async function recordRequest(
  database: Database,
  run: { runId: string; taskId: string; agentId: string; agent: string },
  record: EgressRecord,
): Promise<void> {
  const { host, port, method, path, decision, reason, secret, credential, status } = record;
  await database.transaction('egress.record', async (transaction) => {
    const before = await transaction.one<{ host: boolean; credential: boolean; refused: boolean }>(
      sql`SELECT coalesce(bool_or(host = ${host} AND decision = 'allowed'), false) AS host,
            coalesce(bool_or(credential = ${credential}), false) AS credential,
            count(*) FILTER (WHERE host = ${host} AND decision = 'refused') >= ${toldRefusals} AS refused
          FROM egress_requests WHERE run_id = ${run.runId}`,
    );
    await transaction.many(
      sql`INSERT INTO egress_requests (run_id, agent_id, host, port, method, path, decision, reason, secret, credential,
            status, sent_bytes, received_bytes)
          VALUES (${run.runId}, ${run.agentId}, ${host}, ${port}, ${method}, ${path}, ${decision}, ${reason}, ${secret},
            ${credential}, ${status}, ${record.sentBytes}, ${record.receivedBytes})`,
    );
    const event = (type: NewEvent['type'], data: Record<string, unknown>): NewEvent => ({
      type,
      entityType: 'run',
      entityId: run.runId,
      runId: run.runId,
      taskId: run.taskId,
      actor: run.agent,
      data: { host, port, method, ...data },
    });
    await appendEvents(transaction, [
      ...(decision === 'stopped' ? [event('egress.secret_stopped', { secret, reason })] : []),
      ...(decision === 'refused' && !before.refused ? [event('egress.refused', { reason })] : []),
      ...(decision === 'allowed' && !before.host ? [event('egress.allowed', {})] : []),
      ...(credential !== null && decision === 'allowed' && !before.credential
        ? [event('credential.used', { credential })]
        : []),
    ]);
  });
}

/** Of one host in one run; a client that tries again and again would fill the log. */
const toldRefusals = 3;

export async function listRequests(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  filter: {
    run?: string | undefined;
    agent?: string | undefined;
    decision?: EgressDecision | undefined;
    before?: number | undefined;
    limit: number;
  },
): Promise<EgressRequestView[]> {
  const { run, agent, decision, before, limit } = filter;
  return database.many<EgressRequestView>(
    sql`SELECT egress_requests.id, run_id AS "runId", agents.name AS agent, host, port, method, path, decision, reason,
          credential, egress_requests.status, sent_bytes AS "sentBytes", received_bytes AS "receivedBytes", at
        FROM egress_requests JOIN agents ON agents.id = egress_requests.agent_id
          JOIN runs ON runs.id = run_id JOIN tasks ON tasks.id = runs.task_id
        WHERE ${visibleTo(actor, sql`tasks.project_id`)}
          ${run === undefined ? empty : sql`AND run_id = ${run}`}
          ${agent === undefined ? empty : sql`AND (agents.name = ${agent} OR agents.id = ${agent})`}
          ${decision === undefined ? empty : sql`AND decision = ${decision}`}
          ${before === undefined ? empty : sql`AND egress_requests.id < ${before}`}
        ORDER BY egress_requests.id DESC LIMIT ${limit}`,
  );
}
