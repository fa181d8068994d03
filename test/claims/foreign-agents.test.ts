import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentView } from '../../contract/agents.ts';
import type { ClaimView } from '../../contract/claims.ts';
import type { ProjectView } from '../../contract/projects.ts';
import type { Problem } from '../../contract/system.ts';
import type { BatchResult, TakenTask, TaskView } from '../../contract/tasks.ts';
import { House } from '../e2e/house.ts';

const run = promisify(execFile);
const examples = join(import.meta.dirname, '..', '..', 'examples', 'foreign-agents');

let house: House;
let project: ProjectView;
beforeAll(async () => {
  house = await House.open();
  project = await house.ask<ProjectView>('POST', '/projects', { name: 'chores', reviewRequired: false });
}, 60_000);
afterAll(() => house[Symbol.asyncDispose]());

const hire = (name: string, body: object = {}) =>
  house.ask<{ agent: AgentView; key: string }>('POST', '/agents/register', { name, ...body });
const give = (body: object = {}) =>
  house.ask<TakenTask>('POST', '/tasks', { instructions: 'three small words', project: 'chores', ...body });
/** As an agent asks, with its own key. */
async function as<T>(key: string, method: string, path: string, body: object = {}): Promise<T> {
  const response = await house.fetch(path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer: T = JSON.parse(await response.text());
  return answer;
}

describe.each([
  ['TypeScript', process.execPath, 'agent.ts'],
  ['Python', 'python3', 'agent.py'],
])('the example in %s', (language, program, file) => {
  test('takes what there is, does it, and ends', async () => {
    const name = `example-${language.toLowerCase()}`;
    const { key, agent } = await hire(name);
    expect(agent).toMatchObject({ name, runtime: 'foreign', status: 'offline' });
    const given = [await give(), await give({ assignee: name })];
    const { stdout } = await run(program, [join(examples, file), name], {
      env: { PATH: process.env['PATH'], MISSION_URL: house.url, MISSION_KEY: key },
      timeout: 60_000,
    });
    for (const { task } of given) {
      expect(stdout).toContain(`done ${task.id}`);
      expect(await house.task(task.id)).toMatchObject({
        status: 'completed',
        result: { words: 3 },
        attested: true,
      });
    }
    expect(await house.ask('GET', `/agents/${name}`)).toMatchObject({ status: 'idle', runs: 0 });
  });
});

test('an agent changes only what it holds, and never itself', async () => {
  const [one, two] = [await hire('one'), await hire('two')];
  const { task } = await give();
  const claim = await as<ClaimView>(one.key, 'POST', `/tasks/${task.id}/claim`);
  expect(claim.task.status).toBe('in_progress');
  const write = { leaseToken: claim.leaseToken };
  for (const path of ['heartbeat', 'release', 'complete']) {
    expect(await as(two.key, 'POST', `/tasks/${task.id}/${path}`, write)).toMatchObject({
      status: 409,
      code: 'stale_lease',
    });
  }
  for (const [method, path, body] of [
    ['PATCH', `/tasks/${task.id}`, { title: 'mine' }],
    ['PATCH', '/agents/one', { capacity: 100 }],
    ['POST', '/agents/two/heartbeat', {}],
    ['POST', '/agents/register', { name: 'three' }],
    ['POST', '/agents/two/suspend', {}],
    ['POST', `/tasks/${task.id}/cancel`, {}],
  ] as const) {
    expect(await as(one.key, method, path, body), `${method} ${path}`).toMatchObject({ status: 403 });
  }
  expect(await as(one.key, 'POST', '/agents/register', { name: 'one', capacity: 9 })).toMatchObject({
    key: null,
    agent: { capacity: 1, status: 'busy' },
  });
  expect(await house.ask('PATCH', '/agents/one', { capacity: 2, skills: ['broom'] })).toMatchObject({
    capacity: 2,
    status: 'active',
    version: 2,
  });
  const blocked = await as<TaskView>(one.key, 'POST', `/tasks/${task.id}/block`, {
    ...write,
    reason: 'no broom',
    owner: 'olga',
    deadline: '2031-01-01T00:00:00Z',
  });
  expect(blocked).toMatchObject({ status: 'blocked', waiting: { owner: 'olga', reason: 'no broom' } });
  expect(await house.ask('POST', `/tasks/${task.id}/unblock`, {})).toMatchObject({ status: 'pending' });
  expect(await house.ask('POST', '/agents/one/suspend', { reason: 'a look' })).toMatchObject({
    status: 'suspended',
  });
  expect(await as(one.key, 'POST', '/tasks/claim')).toMatchObject({ code: 'forbidden' });
  expect(await house.ask('POST', '/agents/one/resume')).toMatchObject({ status: 'idle' });
  const { items } = await as<{ items: ClaimView[] }>(one.key, 'POST', '/tasks/claim', { count: 5 });
  expect(items.map((item) => item.task.id)).toEqual([task.id]);
  await house.ask('POST', `/tasks/${task.id}/cancel`, { reason: 'enough' });
});

test('tasks are changed under their version, found by filters, and paged through while more come', async () => {
  const parent = await give({ title: 'The parent of many', priority: 'P0' });
  expect(parent.task).toMatchObject({
    priority: 'critical',
    project: 'chores',
    repository: null,
    version: 1,
  });
  const { items: made } = await house.ask<BatchResult>('POST', '/tasks/batch', {
    items: Array.from({ length: 7 }, (_, index) => ({
      op: 'create',
      task: { instructions: `wombat number ${index}`, project: project.id, parent: parent.task.id },
    })),
  });
  const ids = made.map(({ task }) => task?.id ?? '').sort();
  const [first = ''] = ids;
  const patch = (version: string) =>
    house.fetch(`/tasks/${first}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', 'if-match': version },
      body: JSON.stringify({ title: 'Renamed kangaroo', priority: 'low', deadline: '2031-01-01T00:00:00Z' }),
    });
  expect((await patch('"1"')).status).toBe(200);
  expect((await patch('"1"')).status).toBe(412);
  const find = async (query: string) => {
    const { items } = await house.ask<{ items: TaskView[] }>('GET', `/tasks?${query}`);
    return items.map(({ id }) => id).sort();
  };
  expect(await find('text=wombat')).toEqual(ids);
  expect(await find('text=kangaroos')).toEqual([first]);
  expect(await find(`parent=${parent.task.id}&priority=P3`)).toEqual([first]);
  expect(await find('project=chores&status=pending&text=wombat&assignee=none')).toEqual(ids);
  expect(await find(`text=wombat&updatedAfter=${encodeURIComponent(new Date(0).toISOString())}`)).toEqual(
    ids,
  );
  expect(await find('text=wombat&createdBefore=2020-01-01T00:00:00Z')).toEqual([]);
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const query = `parent=${parent.task.id}&limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const page: { items: TaskView[]; nextCursor: string | null } = await house.ask('GET', `/tasks?${query}`);
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
    await give({ parent: parent.task.id });
  }
  expect(seen.sort()).toEqual(ids);
  expect((await house.ask<Problem>('GET', '/tasks?cursor=nonsense')).code).toBe('invalid_request');
  expect(await house.ask('DELETE', `/projects/${project.id}`)).toMatchObject({ code: 'wrong_state' });
  expect(await house.ask('POST', `/tasks/${parent.task.id}/cancel`, {})).toMatchObject({
    status: 'cancelled',
  });
  expect((await house.task(first)).status).toBe('cancelled');
  expect(await house.ask('POST', `/tasks/${first}/retry`)).toMatchObject({ status: 'pending' });
  await house.ask('POST', `/tasks/${first}/cancel`, {});
  expect(await house.ask('DELETE', `/projects/${project.id}`)).toEqual({ deleted: true });
  expect(await house.ask('GET', `/projects/${project.id}`)).toMatchObject({ code: 'not_found' });
});

test('a batch is all or nothing where it says so', async () => {
  const other = await house.ask<ProjectView>('POST', '/projects', { name: 'attic' });
  const create = { op: 'create', task: { instructions: 'look', project: other.id } };
  const items = [create, { op: 'cancel', id: 'task_nothing' }, create];
  const each = await house.ask<BatchResult>('POST', '/tasks/batch', { items });
  expect(each.items.map(({ status }) => status)).toEqual([201, 404, 201]);
  const none = await house.ask<BatchResult>('POST', '/tasks/batch', { items, atomic: true });
  expect(none.items.map(({ status }) => status)).toEqual([424, 404, 424]);
  const { items: there } = await house.ask<{ items: TaskView[] }>('GET', `/tasks?project=${other.id}`);
  expect(there).toHaveLength(2);
});
