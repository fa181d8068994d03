import type { Halt } from '../../contract/system.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';

const reminderMs = 24 * 3_600_000;

/*
 * While the row of `halt` stands, no run is claimed. Every run that no worker holds is paused with what it was
 * in before_halt; a held one is given back by its worker and paused then. Whoever pauses runs so locks the
 * row first and the one who releases takes it away first: so none is paused after the release.
 */

/** Null where runs may run. */
export async function readHalt(database: Queryable): Promise<Halt | null> {
  const row = await database.maybe<Halt>(
    sql`SELECT halted_by AS by, halted_at AS at, reason FROM halt WHERE only_one`,
  );
  return row ?? null;
}

/** Part of the caller's transaction. Where everything is stopped already, that stop stands; false then. */
export async function beginHalt(
  transaction: Queryable,
  halt: { by: string; reason: string; now: number },
): Promise<boolean> {
  const row = await transaction.maybe(
    sql`INSERT INTO halt (halted_by, reason) VALUES (${halt.by}, ${halt.reason})
        ON CONFLICT DO NOTHING RETURNING only_one`,
  );
  await pauseForHalt(transaction, halt.now);
  return row !== undefined;
}

/** Part of the caller's transaction: runs are again what they were before. False where nothing was stopped. */
export async function endHalt(transaction: Queryable, actor: string): Promise<boolean> {
  const row = await transaction.maybe(sql`DELETE FROM halt RETURNING only_one`);
  await transaction.many(
    sql`WITH restored AS (
          UPDATE runs SET status = before_halt ->> 'status', waiting = before_halt -> 'waiting', before_halt = NULL
          WHERE before_halt IS NOT NULL RETURNING id, task_id, status
        )
        INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
        SELECT 'evt_' || gen_random_uuid(), 'run.released', 'run', id, task_id, id, ${actor}::text,
          jsonb_build_object('cause', 'everything may run again', 'status', status) FROM restored`,
  );
  return row !== undefined;
}

/** Pauses what no worker holds and what may be waiting for one, if everything is stopped. Part of the caller's transaction. */
export async function pauseForHalt(transaction: Queryable, now: number): Promise<void> {
  await transaction.many(
    sql`WITH stopped AS (
          SELECT jsonb_build_object('on', 'pause', 'ref', 'halt',
              'reason', halted_by || ' stopped everything' || CASE WHEN reason = '' THEN '' ELSE ': ' || reason END,
              'owner', halted_by, 'deadline', ${new Date(now + reminderMs).toISOString()}::text,
              'atDeadline', 'remind') AS waiting
          FROM halt FOR SHARE
        ), paused AS (
          UPDATE runs SET before_halt = jsonb_build_object('status', runs.status, 'waiting', runs.waiting),
            status = 'paused', waiting = stopped.waiting
          FROM stopped WHERE runs.status IN ('queued', 'waiting')
          RETURNING runs.id, runs.task_id, runs.waiting
        )
        INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
        SELECT 'evt_' || gen_random_uuid(), 'run.paused', 'run', id, task_id, id, 'control-plane',
          jsonb_build_object('waiting', waiting) FROM paused`,
  );
}
