import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { Pace, placeAfter } from './pace.ts';

let made: TestDatabase;
let now: number;
const start = Date.parse('2026-03-01T00:00:00Z');
const runs = ['run_a', 'run_b', 'run_c', 'run_d'];

beforeAll(async () => {
  made = await createTestDatabase();
  await made.database.many(
    sql`INSERT INTO principals (id, kind, name, role) VALUES ('agt', 'agent', 'dev', 'agent')`,
  );
  await made.database.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, playbook, policy) VALUES ('agt', 'dev', '', '', '', '', '[]')`,
  );
  await made.database.many(sql`INSERT INTO projects (id, name, location) VALUES ('prj', 'p', '/p')`);
  for (const run of runs) {
    await made.database.many(
      sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, created_by)
          VALUES (${`task_${run}`}, 'prj', '', '', 'low', 'pending', 'x')`,
    );
    await made.database.many(
      sql`INSERT INTO runs (id, kind, task_id, agent_id, model, status, waiting)
          VALUES (${run}, 'task', ${`task_${run}`}, 'agt', 'groq/m', 'queued', '{}')`,
    );
  }
});
afterAll(() => made[Symbol.asyncDispose]());
beforeEach(async () => {
  now = start;
  await made.database.many(sql`DELETE FROM provider_paces`);
  await made.database.many(sql`DELETE FROM provider_places`);
});

const open = (limits: Record<string, number> = {}) =>
  new Pace({ database: made.database, now: () => now, limits: async () => new Map(Object.entries(limits)) });

test('nothing is waited for, nor written, while nobody was told to slow down', async () => {
  const pace = open();
  for (const run of runs) expect(await pace.enter(run, 'groq/m')).toBeNull();
  expect(await made.database.many(sql`SELECT * FROM provider_paces`)).toEqual([]);
});

test('after one run was told to wait, all do in every process, and then go one after the other', async () => {
  const [here, there] = [open(), open()];
  await here.slowDown('groq/m', 10_000, 'too many requests');
  expect(await there.enter('run_a', 'other/m')).toBeNull();
  const first = await there.enter('run_a', 'groq/another');
  expect(first).toEqual({ until: start + 10_000, reason: 'groq asked to slow down: too many requests' });
  const second = await here.enter('run_b', 'groq/m');
  expect(second?.until).toBe(start + 10_250);
  expect(await here.enter('run_a', 'groq/m')).toEqual(first);
  now = start + 10_000;
  expect(await here.enter('run_a', 'groq/m')).toBeNull();
  expect((await here.enter('run_b', 'groq/m'))?.until).toBe(start + 10_250);
  now = start + 10_250;
  expect(await here.enter('run_b', 'groq/m')).toBeNull();
});

test('told again meanwhile, those who wait take their places anew behind it', async () => {
  const pace = open();
  await pace.slowDown('groq/m', 10_000, 'first');
  await pace.enter('run_a', 'groq/m');
  await pace.slowDown('groq/m', 30_000, 'second');
  await pace.slowDown('groq/m', 1_000, 'a shorter word changes nothing');
  now = start + 10_000;
  expect((await pace.enter('run_a', 'groq/m'))?.until).toBe(start + 30_000);
});

test('a number of calls a minute is kept over all runs', async () => {
  const [here, there] = [open({ groq: 2 }), open({ groq: 2 })];
  expect(await here.enter('run_a', 'groq/m')).toBeNull();
  const waits = [await there.enter('run_b', 'groq/m'), await here.enter('run_c', 'groq/m')];
  expect(waits.map((wait) => wait && wait.until - start)).toEqual([30_000, 60_000]);
  expect(waits[0]?.reason).toBe('groq takes 2 calls a minute, and others come first');
  now = start + 30_000;
  expect(await here.enter('run_b', 'groq/m')).toBeNull();
});

test('several at once get places of their own', async () => {
  const pace = open({ groq: 1 });
  const waits = await Promise.all(runs.map((run) => pace.enter(run, 'groq/m')));
  const untils = waits.map((wait) => (wait ? wait.until - start : 0)).sort((a, b) => a - b);
  expect(untils).toEqual([0, 60_000, 120_000, 180_000]);
});

test('recordings are nobody’s to share', async () => {
  const pace = open({ recorded: 1 });
  await pace.slowDown('recorded/tiny', 10_000, 'a recorded 429');
  expect(await pace.enter('run_a', 'recorded/tiny')).toBeNull();
});

test('no minute ever holds more than the limit, whenever they come', () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), arrivals, (limit, gaps) => {
      let at = 0;
      let nextPlace = 0;
      const places = gaps.map((gap) => {
        at += gap;
        const { place, next } = placeAfter(nextPlace, at, limit);
        nextPlace = next;
        expect(place).toBeGreaterThanOrEqual(at);
        return place;
      });
      for (const from of places) {
        const held = places.filter((place) => place >= from && place < from + 60_000 - 1e-6).length;
        expect(held).toBeLessThanOrEqual(limit);
      }
    }),
  );
});
