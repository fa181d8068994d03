import type { Transaction } from '../../database/database.ts';
import { raw, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';

const tables: Record<string, Sql> = {
  agent: raw('agents'),
  ask: raw('asks'),
  change: raw('changes'),
  project: raw('projects'),
  run: raw('runs'),
  task: raw('tasks'),
};

/**
 * Locks the row for the rest of the transaction. What is not there is left to the use case to say.
 * @throws AppError precondition_failed where somebody has changed it since
 */
export async function requireVersion(
  transaction: Transaction,
  expected: { noun: string; id: string; version: number },
): Promise<void> {
  const table = tables[expected.noun];
  if (table === undefined) throw new Error(`${expected.noun} has no version`);
  const row = await transaction.maybe<{ version: number }>(
    sql`SELECT version FROM ${table} WHERE id = ${expected.id} FOR UPDATE`,
  );
  if (row === undefined || row.version === expected.version) return;
  throw new AppError(
    'precondition_failed',
    `The ${expected.noun} has changed since you read it (you saw version ${expected.version}, it has ${row.version}): read it again, and decide anew.`,
  );
}
