import type { AskReport } from '../../../contract/asks.ts';
import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { type Actor, ofVisibleTask } from '../actor.ts';

export interface DecidedAsk {
  tool: string;
  subject: string;
  input: Record<string, unknown>;
  agent: string;
  project: string | null;
  approved: boolean;
}

/** How often people were asked in the last days, as one actor may know it. */
export async function readAskCounts(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  days: number,
): Promise<Omit<AskReport, 'offer'>> {
  const counted = await database.one<{
    completedTasks: number;
    asks: number;
    approved: number;
    denied: number;
    expired: number;
  }>(
    sql`WITH done AS (SELECT id AS task_id FROM tasks
            WHERE status = 'completed' AND updated_at > now() - make_interval(days => ${days}) ${ofVisibleTask(actor, sql`id`)}),
          recent AS (SELECT status, decision FROM asks
            WHERE created_at > now() - make_interval(days => ${days}) ${ofVisibleTask(actor, sql`task_id`)})
        SELECT (SELECT count(*) FROM done)::integer AS "completedTasks",
          (SELECT count(*) FROM asks JOIN done USING (task_id))::integer AS asks,
          (SELECT count(*) FROM recent WHERE status = 'decided' AND decision = 'approve')::integer AS approved,
          (SELECT count(*) FROM recent WHERE status = 'decided' AND decision = 'deny')::integer AS denied,
          (SELECT count(*) FROM recent WHERE status = 'expired')::integer AS expired`,
  );
  const { completedTasks, asks, ...decided } = counted;
  const asksPerCompletedTask = completedTasks === 0 ? null : asks / completedTasks;
  return { days, completedTasks, asks, asksPerCompletedTask, decided };
}

/** Decided asks for tool calls, the newest first. */
export async function listDecidedCalls(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  days: number,
): Promise<DecidedAsk[]> {
  return database.many<DecidedAsk>(
    sql`SELECT asks.detail ->> 'tool' AS tool, coalesce(asks.detail ->> 'subject', '') AS subject, asks.detail -> 'input' AS input,
          agents.name AS agent, tasks.project_id AS project, asks.decision = 'approve' AND asks.input IS NULL AS approved
        FROM asks JOIN runs ON runs.id = asks.run_id JOIN agents ON agents.id = runs.agent_id JOIN tasks ON tasks.id = asks.task_id
        WHERE asks.kind = 'approval' AND asks.status = 'decided' AND jsonb_typeof(asks.detail -> 'input') = 'object'
          AND asks.created_at > now() - make_interval(days => ${days}) ${ofVisibleTask(actor, sql`asks.task_id`)}
        ORDER BY asks.id DESC LIMIT 1000`,
  );
}
