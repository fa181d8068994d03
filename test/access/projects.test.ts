import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreatedTask } from '../../contract/tasks.ts';
import { sql } from '../../server/database/sql.ts';
import { newId } from '../../server/ids.ts';
import { House, honest } from '../e2e/house.ts';
import { until } from '../start-app.ts';
import { fetchAs, keyOf } from './people.ts';
import { type SeenRoute, watchRoutes } from './served-routes.ts';
import { table } from './table.ts';

/** One thing of each kind in a project. */
interface Things {
  project: string;
  task: string;
  run: string;
  ask: string;
  change: string;
  artifact: string;
}

let house: House;
let routes: SeenRoute[];
let own: Things;
let foreign: Things;
/** An admin of one project, so that nothing but the project can be what refuses. */
let key: string;

beforeAll(async () => {
  using watch = watchRoutes();
  house = await House.open({ roles: ['api'] });
  ({ routes } = watch);
  own = await makeThings('own');
  foreign = await makeThings('foreign');
  ({ key } = await keyOf(house, 'admin', { name: 'local', projects: [own.project] }));
});
afterAll(() => house[Symbol.asyncDispose]());

async function makeThings(name: string): Promise<Things> {
  const { task, run }: CreatedTask = await house.start(honest, { title: `canary-${name}` });
  const { database } = house;
  const { project } = await database.one<{ project: string }>(
    sql`SELECT project_id AS project FROM tasks WHERE id = ${task.id}`,
  );
  const [ask, change, artifact] = [newId('ask'), newId('chg'), newId('art')];
  await database.many(
    sql`INSERT INTO asks (id, run_id, task_id, kind, question, detail, action_hash, owner, deadline, status)
        VALUES (${ask}, ${run.id}, ${task.id}, 'clarification', ${`canary-${name}`}, '{}', 'hash', 'operators',
          now() + interval '1 hour', 'open')`,
  );
  await database.many(
    sql`INSERT INTO changes (id, task_id, run_id, title, description, base_commit, commit, target_branch, status, receipt)
        VALUES (${change}, ${task.id}, ${run.id}, ${`canary-${name}`}, '', 'a', 'b', 'main', 'closed',
          ${JSON.stringify({ verdict: 'green', commit: 'b', base: 'a', checks: [], touched: [], needsHuman: false, reasons: [] })}::jsonb)`,
  );
  await database.many(
    sql`INSERT INTO artifacts (id, hash, size, media_type, name, run_id)
        VALUES (${artifact}, ${'0'.repeat(64)}, 0, 'text/plain', ${`canary-${name}`}, ${run.id})`,
  );
  return { project, task: task.id, run: run.id, ask, change, artifact };
}

const perhaps = (method: string) =>
  method === 'GET' ? {} : { body: '{}', headers: { 'content-type': 'application/json' } };

describe('what is of another project is as if it were not there', () => {
  test('by every route that names it, whatever it does', async () => {
    const within = routes.filter(({ access }) => access?.within !== undefined);
    expect(within.length).toBeGreaterThan(20);
    const wrong: string[] = [];
    for (const { name, method, url, access } of within) {
      const path = (things: Things) =>
        url.replace(':id', things[access?.within ?? 'task']).replace(/:\w+/g, 'x');
      const theirs = await fetchAs(house, key, path(foreign), { method, ...perhaps(method) });
      const text = await theirs.text();
      const allowed = table[name]?.includes('admin') === true;
      if (theirs.status !== 404 && !(allowed && theirs.status === 403))
        wrong.push(`${name}: ${theirs.status} ${text}`);
      if (text.includes('canary')) wrong.push(`${name} tells: ${text}`);
    }
    expect(wrong).toEqual([]);
  });

  test('while one’s own is there', async () => {
    for (const path of [
      `/tasks/${own.task}`,
      `/runs/${own.run}`,
      `/runs/${own.run}/steps`,
      `/asks/${own.ask}`,
      `/projects/${own.project}`,
      `/artifacts/${own.artifact}`,
    ])
      expect([path, (await fetchAs(house, key, `/api/v1${path}`)).status]).toEqual([path, 200]);
  });

  test('in no list, no status and no event', async () => {
    await until(
      async () => ((await house.database.maybe(sql`SELECT 1 FROM event_outbox LIMIT 1`)) ? undefined : true),
      'all events have their numbers',
    );
    const lists = routes.filter(
      ({ method, url, live }) => method === 'GET' && url.startsWith('/api/') && !/[:*]/.test(url) && !live,
    );
    const told: string[] = [];
    let seen = 0;
    for (const { name, url } of lists) {
      const response = await fetchAs(house, key, url);
      const text = await response.text();
      for (const [noun, id] of Object.entries(foreign))
        if (text.includes(id)) told.push(`${name} tells of the ${noun}`);
      if (text.includes('canary-foreign')) told.push(`${name} tells a title`);
      if (text.includes(own.task)) seen += 1;
    }
    expect(told).toEqual([]);
    expect(seen).toBeGreaterThanOrEqual(5);
    for (const query of [`task=${foreign.task}`, `run=${foreign.run}`, `project=${foreign.project}`]) {
      const response = await fetchAs(house, key, `/api/v1/events?${query}`);
      expect([query, (await response.text()).includes(foreign.task)]).toEqual([query, false]);
    }
  });

  test('and not in the stream', async () => {
    const stop = new AbortController();
    const response = await fetchAs(house, key, '/api/v1/events/stream?after=0', { signal: stop.signal });
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      if (text.includes(own.run) && text.includes('run.queued')) break;
    }
    stop.abort();
    expect(text).not.toContain(foreign.task);
    expect(text).not.toContain(foreign.project);
  });
});

test('nothing is made in another project, nor in a new one', async () => {
  const body = (more: Record<string, unknown>) =>
    JSON.stringify({ instructions: 'Mend.', model: house.record(honest), ...more });
  const headers = { 'content-type': 'application/json' };
  const { repository } = await house.database.one<{ repository: string }>(
    sql`SELECT location AS repository FROM projects WHERE id = ${foreign.project}`,
  );
  for (const more of [
    { repository },
    { project: foreign.project },
    { repository: house.repository({ a: 'b' }) },
  ]) {
    const response = await fetchAs(house, key, '/api/v1/tasks', {
      method: 'POST',
      body: body(more),
      headers,
    });
    expect([Object.keys(more), [403, 404, 422].includes(response.status), await response.text()]).toEqual([
      Object.keys(more),
      true,
      expect.not.stringContaining('canary'),
    ]);
  }
  const made = await fetchAs(house, key, '/api/v1/tasks', {
    method: 'POST',
    body: body({ project: own.project }),
    headers,
  });
  expect([made.status, made.ok ? '' : await made.text()]).toEqual([201, '']);
});
