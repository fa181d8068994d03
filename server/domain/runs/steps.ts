import type { Step } from '../../../contract/steps.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { readSteps } from '../../runs/journal.ts';

/** The transcript of a run, from a step on. @throws AppError not_found */
export async function readRunSteps(
  database: Database,
  query: { runId: string; after: number; limit: number },
): Promise<Step[]> {
  const run = await database.maybe(sql`SELECT id FROM runs WHERE id = ${query.runId}`);
  if (run === undefined)
    throw new AppError('not_found', `there is no run ${query.runId}; list them with \`mission status\``);
  return readSteps(database, query);
}
