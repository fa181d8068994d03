import { empty, type Sql, sql } from '../../database/sql.ts';

/** A task's identifier begins with its time; its first four characters are a bucket of nine hours. */
const window = { first: 2, second: 8, largest: 64 };
/** Words do not come evenly. */
const reserve = 1.5;

/**
 * Finds the newest tasks with such words. An index of words knows no order: all that fit would have to be read to know
 * the newest. So it is asked for the newest time first, which tells how much of it fills a page.
 * @param read the page, of the tasks whose identifiers `matching` gives
 */
export async function searchTasks<Task>(
  { text, before, limit }: { text: string; before?: string | undefined; limit: number },
  read: (matching: Sql) => Promise<Task[]>,
): Promise<Task[]> {
  for (let buckets = window.first; ; ) {
    const found = await read(matching(text, before, buckets));
    if (found.length >= limit) return found;
    if (buckets === window.largest) return read(matching(text, before, undefined));
    const wanted = Math.ceil((reserve * buckets * limit) / found.length);
    buckets = Math.min(window.largest, Math.max(window.second, buckets + 1, wanted));
  }
}

/** The identifiers of tasks with these words. Its expression is that of the index. */
function matching(text: string, before: string | undefined, buckets: number | undefined): Sql {
  const words = sql`websearch_to_tsquery('english', ${text})`;
  const older = before === undefined ? empty : sql`AND task_id < ${before}`;
  const query = buckets === undefined ? words : sql`${words} && (${newestBuckets(buckets, older)})`;
  // A SELECT of its own is read once; the planner would count the words' reading for each row, in a plan for any words.
  return sql`SELECT task_id FROM task_texts
    WHERE document || array_to_tsvector(ARRAY['@' || substr(task_id, 6, 4)]) @@ (SELECT ${query}) ${older}`;
}

/** The newest buckets that there are tasks of, as a query for any of them. */
function newestBuckets(count: number, older: Sql): Sql {
  const newest = (condition: Sql) =>
    sql`SELECT substr(task_id, 6, 4) FROM task_texts WHERE ${condition} ORDER BY task_id DESC LIMIT 1`;
  return sql`WITH RECURSIVE buckets(mark, number) AS (
      SELECT (${newest(sql`true ${older}`)}), 1
      UNION ALL
      SELECT (${newest(sql`task_id < 'task_' || mark`)}), number + 1 FROM buckets
      WHERE mark IS NOT NULL AND number < ${count}
    ) SELECT string_agg(quote_literal('@' || mark), ' | ')::tsquery FROM buckets WHERE mark IS NOT NULL`;
}
