import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { openLog } from '../log.ts';
import { readEvents } from './read.ts';
import { Sequencer } from './sequencer.ts';
import { readTimes, timesAfter } from './times.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());

const start = Date.parse('2026-01-01T00:00:00.000Z');
const minute = 60_000;
const at = (ms: number) => new Date(ms).toISOString();

/** One event at each of these times, in their order, until all have their numbers. */
async function tell(database: Database, times: readonly number[]): Promise<void> {
  const rows = times.map((ms, index) => ({ id: `evt_${ms}_${index}`, time: at(ms) }));
  await database.many(
    sql`INSERT INTO event_outbox (id, type, entity_type, entity_id, actor, data, time)
        SELECT id, 'task.updated', 'task', 'task_a', 'test', '{}', time
        FROM jsonb_to_recordset(${json(rows)}) AS rows(id text, time timestamptz)`,
  );
  await using sequencer = new Sequencer({ database, log: openLog('silent') });
  while ((await database.maybe(sql`SELECT 1 AS left FROM event_outbox LIMIT 1`)) !== undefined)
    sequencer.poke();
}

test('a clock that is set back by an hour hides no event from a question about a time', async () => {
  const { database } = home;
  expect((await readTimes(database)).disorderMs).toBe(1_000);
  const before = Array.from({ length: 300 }, (_, index) => start + index * minute);
  await tell(database, before);
  expect((await readTimes(database)).disorderMs).toBe(1_000);
  // The last of them was minute 299; the clock then says 239, and another leader goes on.
  const after = Array.from({ length: 200 }, (_, index) => start + (239 + index) * minute);
  await tell(database, after);
  expect((await readTimes(database)).disorderMs).toBe(60 * minute);
  const all = [...before, ...after];
  for (const since of [230, 239, 250, 298, 299, 300, 430])
    for (const until of [235, 240, 299, 301, 600]) {
      const expected = all
        .filter((ms) => ms >= start + since * minute && ms < start + until * minute)
        .map(at);
      const times = { since: at(start + since * minute), until: at(start + until * minute) };
      const found = await readEvents(database, { after: 0, limit: 1_000, ...times });
      expect(found.map(({ time }) => time)).toEqual(expected);
      const ofType = await readEvents(database, {
        after: 0,
        limit: 1_000,
        ...times,
        types: ['task.updated'],
      });
      expect(ofType.map(({ time }) => time)).toEqual(expected);
    }
});

test('the disorder grows to the double at least, and counts from the newest time of all', () => {
  const begun = { newestMs: start, disorderMs: 1_000 };
  expect(timesAfter(begun, [{ time: at(start - 900) }, { time: at(start + 5) }])).toEqual({
    newestMs: start + 5,
    disorderMs: 1_000,
  });
  expect(timesAfter(begun, [{ time: at(start - 1_001) }])).toEqual({ newestMs: start, disorderMs: 2_000 });
  const twice = [start + 10_000, start, start - 20_000].map((ms) => ({ time: at(ms) }));
  expect(timesAfter(begun, twice)).toEqual({ newestMs: start + 10_000, disorderMs: 30_000 });
});
