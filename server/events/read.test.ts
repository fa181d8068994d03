import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CloudEvent, EventType } from '../../contract/events.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { type EventQuery, readEvents } from './read.ts';

const count = 3_000;
const types: EventType[] = ['task.created', 'task.updated', 'task.failed', 'run.queued', 'step.completed'];
const projects = ['prj_a', 'prj_b', 'prj_c'];
const start = Date.parse('2026-01-01T00:00:00.000Z');

let home: TestDatabase;
let all: CloudEvent[];

beforeAll(async () => {
  home = await createTestDatabase();
  // A minute apart, some up to eight minutes late, as long transactions leave them; one of a rare type.
  await home.database.many(
    sql`INSERT INTO events (sequence, id, type, entity_type, entity_id, task_id, actor, data, time, hash, project_id)
        SELECT n, 'evt_' || n, CASE WHEN n = 1777 THEN 'webhook.disabled' ELSE (${types}::text[])[n * 7919 % 5 + 1] END,
          'task', 'task_' || n % 200, 'task_' || n % 200, 'test', '{}',
          ${new Date(start).toISOString()}::timestamptz + n * interval '1 minute' - (n * 31 % 9) * interval '1 minute',
          '', (${projects}::text[])[n * 104729 % 4 + 1]
        FROM generate_series(1, ${count}) AS n`,
  );
  await home.database.many(sql`UPDATE event_times SET disorder = '8 minutes'`);
  all = await readEvents(home.database, { after: 0, limit: count });
});
afterAll(() => home[Symbol.asyncDispose]());

/** Page by page, as a client follows `nextCursor`. */
async function readAll(query: Omit<EventQuery, 'after'>): Promise<number[]> {
  const found: number[] = [];
  for (let after = 0; ; ) {
    const page = await readEvents(home.database, { ...query, after });
    found.push(...page.map(({ sequence }) => sequence));
    const last = page.at(-1);
    if (last === undefined || page.length < query.limit) return found;
    after = last.sequence;
  }
}

const minute = (n: number) => new Date(start + n * 60_000).toISOString();

test('reads what a plain filter of the whole log leaves, in its order', async () => {
  expect(all.map(({ sequence }) => sequence)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  const filters: Omit<EventQuery, 'after' | 'limit'>[] = [
    {},
    { types: ['task.failed'] },
    { types: ['webhook.disabled'] },
    { types: ['webhook.disabled', 'run.queued', 'task.created'] },
    { types: [] },
    { projectId: 'prj_b' },
    { projectId: 'prj_b', types: ['task.failed', 'step.completed'] },
    { projects: ['prj_a', 'prj_c'] },
    { projects: [], types: ['task.failed'] },
    { projects: ['prj_a', 'prj_c'], types: ['task.updated', 'task.failed'] },
    { taskId: 'task_17' },
    { taskId: 'task_17', types: ['task.failed', 'task.updated'] },
    { subject: 'task/task_40', projectId: 'prj_a' },
    { projects: Array.from({ length: 70 }, (_, index) => `prj_${index}`).concat('prj_a'), types },
  ];
  const times = [
    {},
    { since: minute(1_500) },
    { until: minute(40) },
    { since: minute(700), until: minute(900) },
    { since: minute(-5) },
    { since: minute(2_990) },
    { since: minute(9_000) },
    { until: minute(-100) },
  ];
  for (const filter of filters)
    for (const time of times) {
      const query = { ...filter, ...time };
      const expected = all.filter((event) => fits(event, query)).map(({ sequence }) => sequence);
      expect(await readAll({ ...query, limit: 300 }), JSON.stringify(query)).toEqual(expected);
    }
});

test('pages join without a gap or a repetition, however small they are', async () => {
  for (const query of [
    { types: ['task.failed', 'run.queued'] as const, since: minute(2_600) },
    { projectId: 'prj_a', until: minute(300) },
    { since: minute(2_700), until: minute(2_800) },
  ]) {
    const expected = all.filter((event) => fits(event, query)).map(({ sequence }) => sequence);
    expect(await readAll({ ...query, limit: 7 }), JSON.stringify(query)).toEqual(expected);
  }
});

function fits(event: CloudEvent, query: Omit<EventQuery, 'after' | 'limit'>): boolean {
  const at = Date.parse(event.time);
  return (
    (query.types?.includes(event.type) ?? true) &&
    (query.projectId === undefined || event.projectid === query.projectId) &&
    (!query.projects || query.projects.includes(event.projectid ?? '')) &&
    (query.taskId === undefined || event.taskid === query.taskId) &&
    (query.subject === undefined || event.subject === query.subject) &&
    (query.since === undefined || at >= Date.parse(query.since)) &&
    (query.until === undefined || at < Date.parse(query.until))
  );
}
