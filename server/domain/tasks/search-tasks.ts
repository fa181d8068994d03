import { empty, raw, type Sql, sql } from '../../database/sql.ts';

/**
 * The newest time, in so many buckets that there are tasks of: a task's identifier begins with its time, and its first
 * four characters name 9 hours, its first three 12 days.
 */
interface Window {
  characters: 3 | 4;
  buckets: number;
  /** About so much of the time; what a window gives tells what a larger one will. */
  hours: number;
}

const windows: readonly Window[] = [
  { characters: 4, buckets: 1, hours: 9 },
  { characters: 4, buckets: 8, hours: 75 },
  { characters: 3, buckets: 2, hours: 450 },
];

/**
 * Finds the newest tasks with such words. An index of words knows no order: all that fit would have to be read to know
 * the newest. So it is asked for the newest time first, and for more where that does not fill a page.
 * @param read the page, of the tasks whose identifiers `matching` gives
 */
export async function searchTasks<Task>(
  { text, before, limit }: { text: string; before?: string | undefined; limit: number },
  read: (matching: Sql) => Promise<Task[]>,
): Promise<Task[]> {
  let perHour = Number.POSITIVE_INFINITY;
  for (const window of windows) {
    if (perHour * window.hours < limit) continue;
    const found = await read(matching(text, before, window));
    if (found.length >= limit) return found;
    perHour = found.length / window.hours;
  }
  return read(matching(text, before, undefined));
}

/** The identifiers of tasks with these words. Its expression is that of the index. */
function matching(text: string, before: string | undefined, window: Window | undefined): Sql {
  const words = sql`websearch_to_tsquery('english', ${text})`;
  const older = before === undefined ? empty : sql`AND task_id < ${before}`;
  const query = window === undefined ? words : sql`(${words} && (${bucketsOf(window, older)}))`;
  return sql`SELECT task_id FROM task_texts
    WHERE document || array_to_tsvector(ARRAY['@' || substr(task_id, 6, 4), '@' || substr(task_id, 6, 3)]) @@ ${query}
      ${older}`;
}

/** The window's buckets as a query for any of them. */
function bucketsOf({ characters, buckets }: Window, older: Sql): Sql {
  const newest = (condition: Sql) => sql`SELECT substr(task_id, 6, ${raw(String(characters))}) FROM task_texts
    WHERE ${condition} ORDER BY task_id DESC LIMIT 1`;
  return sql`WITH RECURSIVE buckets(mark, number) AS (
      SELECT (${newest(sql`true ${older}`)}), 1
      UNION ALL
      SELECT (${newest(sql`task_id < 'task_' || mark`)}), number + 1 FROM buckets
      WHERE mark IS NOT NULL AND number < ${raw(String(buckets))}
    ) SELECT string_agg(quote_literal('@' || mark), ' | ')::tsquery FROM buckets WHERE mark IS NOT NULL`;
}
