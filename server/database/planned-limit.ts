import { raw, type Sql } from './sql.ts';

const sizes = [64, 256, 1_024] as const;

/**
 * A limit that the planner can read, at least as high as the wanted one. Of a parameter it assumes a tenth of the
 * table, finds the plan for all values too dear and plans each execution anew; each of the few sizes is a statement
 * of its own. The exact limit belongs around it, as a parameter.
 */
export function plannedLimit(limit: number): Sql {
  return raw(String(sizes.find((size) => size >= limit) ?? limit));
}
