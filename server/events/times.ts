import type { Queryable } from '../database/database.ts';
import { type Sql, sql } from '../database/sql.ts';

/** How far the times of the log follow its numbers. */
export interface EventTimes {
  /** The latest time of an event so far, in milliseconds since 1970. */
  newestMs: number;
  /** The most by which an event's time is before that of one with a lower number, or more. */
  disorderMs: number;
}

/** Events that a new leader looks back at for the newest time: more than are ever numbered within a transaction's length. */
const lookBack = 1_000;

export async function readTimes(database: Queryable): Promise<EventTimes> {
  return database.one<EventTimes>(
    sql`SELECT (extract(epoch FROM greatest(newest, (SELECT max(time) FROM
            (SELECT time FROM events ORDER BY sequence DESC LIMIT ${lookBack}) AS latest))) * 1000)::double precision AS "newestMs",
          (extract(epoch FROM disorder) * 1000)::double precision AS "disorderMs"
        FROM event_times`,
  );
}

/** The same after some more events. The disorder grows to the double at least, so that it is seldom written. */
export function timesAfter(before: EventTimes, events: readonly { time: string }[]): EventTimes {
  let { newestMs } = before;
  let most = before.disorderMs;
  for (const { time } of events) {
    const at = Date.parse(time);
    newestMs = Math.max(newestMs, at);
    most = Math.max(most, newestMs - at);
  }
  return { newestMs, disorderMs: most > before.disorderMs ? Math.max(most, 2 * before.disorderMs) : most };
}

/** To be written with the events that made the disorder grow. */
export function keepTimes({ newestMs, disorderMs }: EventTimes): Sql {
  return sql`UPDATE event_times SET newest = greatest(newest, ${new Date(newestMs).toISOString()}::timestamptz),
      disorder = make_interval(secs => ${disorderMs / 1_000}::double precision)`;
}

/** The disorder as an interval, inside of a statement. */
export const disorder = sql`(SELECT disorder FROM event_times)`;
