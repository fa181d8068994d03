import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatId } from '../../../contract/ids.ts';
import type { TaskView } from '../../../contract/tasks.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { listTasks, type TaskFilter } from './task-rows.ts';

const count = 1_200;
const hour = 3_600_000;
const start = Date.parse('2026-01-01T00:00:00.000Z');
/** Forty days with a task every hour or so, then a rest, then many in an hour. */
const timeOf = (number: number) => start + (number < 900 ? number * hour : 1_500 * hour + number * 10_000);

let home: TestDatabase;
let all: TaskView[];

beforeAll(async () => {
  home = await createTestDatabase();
  const numbers = Array.from({ length: count }, (_, number) => number);
  const ids = numbers.map((number) => formatId('task', timeOf(number), Buffer.alloc(8, number)));
  const times = numbers.map((number) => new Date(timeOf(number)).toISOString());
  await home.database.many(
    sql`INSERT INTO projects (id, name, location) VALUES ('prj_a', 'a', '/a'), ('prj_b', 'b', '/b')`,
  );
  await home.database.many(
    sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, waiting, created_by, created_at, updated_at)
        SELECT id, CASE n % 3 WHEN 0 THEN 'prj_a' ELSE 'prj_b' END, 'Mend number' || n % 7, 'Rare' || n % 400,
          (ARRAY['low', 'medium', 'high', 'critical'])[n % 4 + 1], (ARRAY['pending', 'completed', 'blocked', 'failed'])[n % 4 + 1],
          '{"on":"blocker","ref":null,"reason":"r","owner":"o","deadline":"2100-01-01T00:00:00.000Z","atDeadline":"remind"}',
          'test', at::timestamptz, at::timestamptz + n % 5 * interval '3 hours'
        FROM unnest(${ids}::text[], ${times}::text[], ${numbers}::integer[]) AS made(id, at, n)`,
  );
  await home.database.many(
    sql`INSERT INTO task_texts (task_id, document) SELECT id, to_tsvector('english', title || ' ' || instructions) FROM tasks`,
  );
  all = await listTasks(home.database, { limit: count });
});
afterAll(() => home[Symbol.asyncDispose]());

/** Page by page, as a client follows `nextCursor`. */
async function readAll(filter: Omit<TaskFilter, 'before'>): Promise<string[]> {
  const found: string[] = [];
  for (let before: string | undefined; ; ) {
    const page = await listTasks(home.database, { ...filter, before });
    found.push(...page.map(({ id }) => id));
    const last = page.at(-1);
    if (last === undefined || page.length < filter.limit) return found;
    before = last.id;
  }
}

const at = (hours: number) => new Date(start + hours * hour).toISOString();

test('lists what a plain filter of all tasks leaves, the newest first', async () => {
  expect(all).toHaveLength(count);
  expect(all.map(({ id }) => id)).toEqual(
    all
      .map(({ id }) => id)
      .sort()
      .reverse(),
  );
  const filters: Omit<TaskFilter, 'limit' | 'before'>[] = [
    { status: 'pending' },
    { status: 'blocked', project: 'prj_a' },
    { status: 'nothing' },
    { priority: 'critical', open: true },
    { project: 'b' },
    { actor: { projects: ['prj_a'] } },
    { createdAfter: at(100), createdBefore: at(120) },
    { createdBefore: at(7) },
    { updatedAfter: at(800) },
    { text: 'mend' },
    { text: 'number3' },
    { text: 'rare17' },
    { text: 'rare17 number3' },
    { text: 'mend -number3' },
    { text: '"mend number3"' },
    { text: 'nowhere' },
    { text: 'mend', status: 'failed', project: 'prj_b' },
    { text: 'number3', createdBefore: at(300) },
    { text: 'rare5', actor: { projects: ['prj_a'] } },
  ];
  for (const filter of filters) {
    const expected = all.filter((task) => fits(task, filter)).map(({ id }) => id);
    for (const limit of [45, 700])
      expect(await readAll({ ...filter, limit }), JSON.stringify({ ...filter, limit })).toEqual(expected);
  }
});

function fits(task: TaskView, filter: TaskFilter | Omit<TaskFilter, 'limit'>): boolean {
  const words = `${task.title} ${task.instructions}`.toLowerCase().split(' ');
  const wanted = filter.text?.replaceAll('"', '').split(' ') ?? [];
  return (
    (filter.status === undefined || task.status === filter.status) &&
    (filter.open !== true || ['pending', 'blocked'].includes(task.status)) &&
    (filter.priority === undefined || task.priority === filter.priority) &&
    (filter.project === undefined || [task.projectId, task.project].includes(filter.project)) &&
    (filter.actor?.projects?.includes(task.projectId) ?? true) &&
    (filter.createdAfter === undefined || task.createdAt > filter.createdAfter) &&
    (filter.createdBefore === undefined || task.createdAt < filter.createdBefore) &&
    (filter.updatedAfter === undefined || task.updatedAt > filter.updatedAfter) &&
    wanted.every((word) => (word.startsWith('-') ? !words.includes(word.slice(1)) : words.includes(word)))
  );
}
