import type { Database, Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';

/** An ended run whose folder is still there. */
export interface EndedRun {
  id: string;
  endedAt: string;
  /** Its change was merged, reverted or closed, so that nobody will look into the workspace again. */
  settled: boolean;
}

/** Of these runs the ended ones, those that ended first before the others. A run that has ended never lives again. */
export async function readEndedRuns(database: Queryable, ids: readonly string[]): Promise<EndedRun[]> {
  return database.many<EndedRun>(
    sql`SELECT id, ended_at AS "endedAt", EXISTS (
            SELECT FROM changes WHERE changes.run_id = runs.id AND changes.status IN ('merged', 'reverted', 'closed')
          ) AS settled
        FROM runs WHERE id = ANY(${ids}::text[]) AND ended_at IS NOT NULL AND worker_id IS NULL ORDER BY ended_at`,
  );
}

/**
 * Takes a run's folder away while its row is locked as ended and without a lease: nobody can be at work in it.
 * False where that is not so.
 */
export function withEndedRun(
  database: Database,
  runId: string,
  takeAway: () => Promise<void>,
): Promise<boolean> {
  return database.transaction('retention.run', async (transaction) => {
    const row = await transaction.maybe(
      sql`SELECT id FROM runs WHERE id = ${runId} AND ended_at IS NOT NULL AND worker_id IS NULL FOR UPDATE`,
    );
    if (row !== undefined) await takeAway();
    return row !== undefined;
  });
}

/** Keys of set-ups that runs which have not ended have named. */
export async function readSetupsInUse(database: Queryable): Promise<Set<string>> {
  const rows = await database.many<{ key: string }>(
    sql`SELECT DISTINCT steps.result ->> 'setupKey' AS key FROM steps JOIN runs ON runs.id = steps.run_id
        WHERE runs.ended_at IS NULL AND steps.kind IN ('phase', 'check') AND steps.result ->> 'setupKey' IS NOT NULL`,
  );
  return new Set(rows.map((row) => row.key));
}

const isOld = (days: number) => sql`tasks.status IN ('completed', 'failed', 'cancelled')
  AND tasks.updated_at < now() - make_interval(secs => ${days * 86_400})`;

/** Of these runs those of tasks that ended so long ago and whose commits nobody can ask for any more. */
export async function readForgettableRuns(
  database: Queryable,
  ids: readonly string[],
  days: number,
): Promise<string[]> {
  const rows = await database.many<{ id: string }>(
    sql`SELECT runs.id FROM runs JOIN tasks ON tasks.id = runs.task_id
        WHERE runs.id = ANY(${ids}::text[]) AND runs.ended_at IS NOT NULL AND ${isOld(days)}
          AND NOT EXISTS (SELECT FROM changes WHERE changes.run_id = runs.id
            AND changes.status IN ('ready', 'merged', 'reverted'))`,
  );
  return rows.map((row) => row.id);
}

/** Artifacts of tasks which ended so long ago, and what was uploaded then for no task. */
const oldArtifacts = (days: number) => sql`SELECT artifacts.id, artifacts.hash,
    CASE WHEN tasks.id IS NULL THEN artifacts.created_at < now() - make_interval(secs => ${days * 86_400})
      ELSE ${isOld(days)} END AS old
  FROM artifacts LEFT JOIN runs ON runs.id = artifacts.run_id
    LEFT JOIN tasks ON tasks.id = coalesce(artifacts.task_id, runs.task_id)`;

/** Contents that only old artifacts name. */
export async function readOldContents(database: Queryable, days: number): Promise<string[]> {
  const rows = await database.many<{ hash: string }>(
    sql`SELECT hash FROM (${oldArtifacts(days)}) AS judged GROUP BY hash HAVING bool_and(old)`,
  );
  return rows.map((row) => row.hash);
}

/** To be called when their contents are gone: a crash in between is then mended by the next sweep. */
export async function forgetOldArtifacts(database: Database, days: number): Promise<number> {
  const rows = await database.write(
    'retention.artifacts',
    sql`DELETE FROM artifacts USING (${oldArtifacts(days)}) AS judged
        WHERE judged.id = artifacts.id AND judged.old RETURNING artifacts.id`,
  );
  return rows.length;
}

/** Deliveries that are over and old, and requests of sandboxes; refusals of those stand in the log as well. */
export async function forgetOldRows(database: Database): Promise<void> {
  await database.write(
    'retention.deliveries',
    sql`DELETE FROM notification_deliveries WHERE status <> 'waiting' AND ended_at < now() - interval '90 days'`,
  );
  await database.write(
    'retention.webhooks',
    sql`DELETE FROM webhook_deliveries WHERE status <> 'waiting' AND ended_at < now() - interval '30 days'`,
  );
  // What was accepted or ignored is kept: it is what a repetition is known by.
  await database.write(
    'retention.hooks',
    sql`DELETE FROM hook_deliveries WHERE status = 'refused' AND at < now() - interval '30 days'`,
  );
  await database.write(
    'retention.egress',
    sql`DELETE FROM egress_requests WHERE at < now() - interval '90 days'`,
  );
}
