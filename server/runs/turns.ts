import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { wakeRun } from './lease.ts';

/**
 * Puts a run behind the live ones of the same key. The caller's transaction must hold a lock that belongs to
 * the key: turns are then given in the order of the commits, and whoever is before a run is there when the
 * run looks.
 */
export async function takeTurn(transaction: Queryable, runId: string, key: string): Promise<void> {
  await transaction.many(
    sql`UPDATE runs SET turn_key = ${key}, turn = nextval('run_turns') WHERE id = ${runId}`,
  );
}

/** The run whose end this one has to await; undefined where its turn has come. */
export async function findRunBefore(
  database: Queryable,
  runId: string,
): Promise<{ id: string; status: string } | undefined> {
  return database.maybe<{ id: string; status: string }>(
    sql`SELECT before.id, before.status FROM runs AS mine JOIN runs AS before ON before.turn_key = mine.turn_key
        WHERE mine.id = ${runId} AND before.turn < mine.turn AND before.ended_at IS NULL
        ORDER BY before.turn DESC LIMIT 1`,
  );
}

/** In the transaction that ends a run: all behind it look again, since the next may be ending at this moment. */
export async function wakeBehind(
  transaction: Queryable,
  ended: { runId: string; actor: string; now: number },
): Promise<void> {
  const { runId, actor, now } = ended;
  const behind = await transaction.many<{ id: string }>(
    sql`SELECT behind.id FROM runs AS mine JOIN runs AS behind ON behind.turn_key = mine.turn_key
        WHERE mine.id = ${runId} AND behind.turn > mine.turn AND behind.ended_at IS NULL ORDER BY behind.turn`,
  );
  for (const { id } of behind)
    await wakeRun(transaction, { runId: id, actor, now, reason: `${runId} has ended` });
}
