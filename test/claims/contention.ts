import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../server/clock.ts';
import type { Database } from '../../server/database/database.ts';
import { json, sql } from '../../server/database/sql.ts';
import type { Actor } from '../../server/domain/actor.ts';
import type { Claim } from '../../server/domain/tasks/claims.ts';
import { completeAndClaim, completeTasks } from '../../server/domain/tasks/completing.ts';
import { House } from '../../server/domain/tasks/tasks-fixture.ts';
import { newId } from '../../server/ids.ts';
import { openLog } from '../../server/log.ts';
import { LeaseWatch } from '../../server/runs/lease-watch.ts';

export interface Contention {
  agents: number;
  tasks: number;
  /** How often an agent that has claimed a task is never heard of again, from 0 to 1. */
  vanishing: number;
  leaseSeconds: number;
  limitMs: number;
}

export interface ContentionOutcome {
  completed: number;
  /** Tasks with another number of completions in the log than one. */
  notOnce: number;
  /** What the agents were told, which must be the same number as there are tasks. */
  acknowledged: number;
  vanished: number;
  lostLeases: number;
  /** Completions that were refused because the lease was over. */
  stale: number;
  seconds: number;
}

/** Many agents want the same tasks at once, and some of them vanish with what they hold. */
export async function contend(database: Database, settings: Contention): Promise<ContentionOutcome> {
  const house = await House.open(database);
  const agents: Actor[] = [];
  // Two places: an agent that was started again works on while what it left behind is still held.
  for (let count = 0; count < settings.agents; count++) agents.push(await house.hire({ capacity: 2 }));
  await fill(house, settings.tasks);
  await using _watch = new LeaseWatch({
    database,
    clock: systemClock,
    log: openLog('silent'),
    leaseSeconds: settings.leaseSeconds,
  });
  const began = performance.now();
  const counts = { acknowledged: 0, vanished: 0, stale: 0 };
  const signal = AbortSignal.timeout(settings.limitMs);
  await Promise.all(agents.map((agent) => work(house, agent, settings, counts, signal)));
  const seconds = (performance.now() - began) / 1_000;
  const told = await database.one<{ completed: number; notOnce: number; lostLeases: number }>(
    sql`WITH told AS (
          SELECT task_id, type FROM event_outbox UNION ALL SELECT task_id, type FROM events
        ), counted AS (
          SELECT tasks.id, tasks.status, count(*) FILTER (WHERE told.type = 'task.completed') AS times,
            count(*) FILTER (WHERE told.type = 'task.lease_expired') AS lost
          FROM tasks LEFT JOIN told ON told.task_id = tasks.id GROUP BY tasks.id, tasks.status
        )
        SELECT count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE times <> 1) AS "notOnce",
          coalesce(sum(lost), 0)::bigint AS "lostLeases" FROM counted`,
  );
  return { ...told, ...counts, seconds };
}

async function fill(house: House, tasks: number): Promise<void> {
  const ids = Array.from({ length: tasks }, () => newId('task'));
  await house.database.many(
    sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, waiting, ready_at, created_by)
        SELECT id, ${house.projectId}, 'one of many', 'one of many', 'medium', 'pending', ${json({ on: 'queue' })}, now(), 'test'
        FROM unnest(${ids}::text[]) AS id`,
  );
}

/** One agent, until every task is completed. */
async function work(
  house: House,
  agent: Actor,
  settings: Contention,
  counts: { acknowledged: number; vanished: number; stale: number },
  signal: AbortSignal,
): Promise<void> {
  const { leaseSeconds, vanishing } = settings;
  const request = () => ({ agent, actor: agent, count: 1, leaseSeconds, now: Date.now() });
  let claim: Claim | undefined;
  while (counts.acknowledged < settings.tasks) {
    signal.throwIfAborted();
    claim ??= (await house.claim(agent, { leaseSeconds }))[0];
    if (claim === undefined) {
      await delay(100, undefined, { signal });
    } else if (Math.random() < vanishing) {
      counts.vanished += 1;
      claim = undefined;
    } else {
      const { task, leaseToken } = claim;
      const item = { taskId: task.id, leaseToken, result: { by: agent.name } };
      // Half of them hand in and claim in one.
      const turn: { done: { status: unknown }[]; claims: Claim[] } =
        Math.random() < 0.5
          ? await completeAndClaim(house.database, request(), [item])
          : { done: await completeTasks(house.database, agent, [item], Date.now()), claims: [] };
      counts[turn.done[0]?.status === null ? 'stale' : 'acknowledged'] += 1;
      claim = turn.claims[0];
    }
  }
}
