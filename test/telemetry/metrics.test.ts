import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { House, honest } from '../e2e/house.ts';
import { until } from '../start-app.ts';
import { Exposition, namesIn } from './exposition.ts';

const deploy = join(import.meta.dirname, '..', '..', 'deploy');
const metricsToken = 'a-scraper-of-the-tests';
const off = { tracing: null, sentry: null, metricsPort: null };

let house: House;
let first: Exposition;
let last: Exposition;
beforeAll(async () => {
  house = await House.open({ telemetry: { ...off, metricsToken } });
  first = await scrape();
  const [beginning, ...rest] = honest;
  const overloaded = { ...beginning, misbehave: [{ kind: '529' }] };
  const { run } = await house.start([overloaded, ...rest]);
  await house.rest(run?.id ?? '');
  await house.fetch('/nothing/here');
  await house.fetch('/tasks/task_unknown');
  const { id } = await house.ask<{ id: string }>('POST', '/projects', { name: 'errands' });
  await house.ask('POST', '/tasks', { project: id, instructions: 'To be claimed by somebody.' });
  last = await until(async () => {
    const found = await scrape();
    // What is counted of the log comes after what stands in the tables.
    const isCounted =
      found.value('mission_run_duration_seconds_count') === 1 &&
      (found.value('mission_tasks_created_total') ?? 0) > 1;
    return isCounted && found.value('mission_tasks_claimable') === 1 ? found : undefined;
  }, 'the run and both tasks are counted');
});
afterAll(() => house[Symbol.asyncDispose]());

async function scrape(): Promise<Exposition> {
  const response = await fetch(`${house.url}/metrics`, {
    headers: { authorization: `Bearer ${metricsToken}` },
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  return new Exposition(await response.text());
}

test('what happened since the first scrape is counted from the log', () => {
  expect(first.value('mission_tasks_created_total')).toBe(0);
  expect(last.value('mission_tasks_created_total')).toBe(2);
  expect(last.value('mission_run_duration_seconds_count', { kind: 'task', status: 'succeeded' })).toBe(1);
  expect(last.value('mission_run_duration_seconds_sum')).toBeGreaterThan(0);
  expect(last.value('mission_steps_total', { status: 'done' })).toBeGreaterThan(5);
  expect(last.value('mission_steps_begun_total', { kind: 'model' })).toBeGreaterThan(5);
  expect(last.value('mission_step_failures_total', { kind: 'model', class: 'overloaded' })).toBe(1);
  expect(last.value('mission_leases_lost_total')).toBe(0);
});

test('how things stand is read at the scrape', () => {
  expect(last.value('mission_database_up')).toBe(1);
  expect(last.value('mission_workers')).toBe(1);
  expect(last.value('mission_worker_places')).toBeGreaterThan(0);
  expect(last.value('mission_tasks_open', { status: 'in_review' })).toBe(1);
  expect(last.value('mission_budget_limit_usd', { scope: 'day', key: 'today' })).toBe(25);
  expect(last.value('mission_budget_spent_usd', { scope: 'day' })).toBeDefined();
  expect(last.value('mission_budget_reserved_usd', { scope: 'day' })).toBe(0);
  expect(last.value('mission_disk_free_bytes')).toBeGreaterThan(0);
  expect(last.value('mission_asks_open')).toBe(0);
  expect(last.value('mission_halted')).toBe(0);
  expect(last.value('mission_events_last_sequence')).toBeGreaterThan(0);
  expect(last.value('mission_sandbox_starts_total', { end: 'succeeded' })).toBeGreaterThan(0);
});

test('requests are counted by route and status, and a stranger’s address makes no series', () => {
  const requests = 'mission_http_request_duration_seconds_count';
  expect(last.value(requests, { method: 'POST', route: '/api/v1/tasks', status: '201' })).toBe(2);
  expect(last.value(requests, { route: '/api/v1/tasks/:id', status: '404' })).toBe(1);
  expect(last.value(requests, { route: 'none', status: '404' })).toBe(1);
  expect(last.value('mission_http_problems_total', { code: 'not_found' })).toBe(2);
  expect(last.text).not.toContain('task_unknown');
});

test('a scraper’s token opens the measurements and nothing else; without one it needs metrics:read', async () => {
  const asScraper = { authorization: `Bearer ${metricsToken}` };
  expect((await fetch(`${house.url}/api/v1/tasks`, { headers: asScraper })).status).toBe(401);
  expect((await fetch(`${house.url}/metrics`)).status).toBe(401);
  expect((await fetch(`${house.url}/metrics`, { headers: { authorization: 'Bearer wrong' } })).status).toBe(
    401,
  );
  expect((await house.fetch('/metrics')).status).toBe(200);
  const { key } = await house.ask<{ key: string }>('POST', '/keys', {
    label: 'narrow',
    scopes: ['tasks:read'],
  });
  expect((await house.fetch('/metrics', { headers: { authorization: `Bearer ${key}` } })).status).toBe(403);
});

describe('what is deployed speaks of what is measured', () => {
  const read = (path: string) => readFileSync(join(deploy, path), 'utf8');
  const known = (name: string) =>
    last.types.has(name) || last.types.get(name.replace(/_(bucket|count|sum)$/, '')) === 'histogram';

  test.each([
    ['the alert rules', 'prometheus/alerts.yml', 15],
    ['their tests', 'prometheus/alerts.test.yml', 15],
  ])('%s', (_what, path, least) => {
    const names = [...new Set(namesIn(read(path)))];
    expect(names.length).toBeGreaterThan(least);
    expect(names.filter((name) => !known(name))).toEqual([]);
  });

  test('the dashboard', () => {
    const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(
      read('grafana/mission-control.json'),
    );
    const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(queries.length).toBeGreaterThan(30);
    const unknown = queries.flatMap(namesIn).filter((name) => !known(name));
    expect(unknown).toEqual([]);
    // What we measure is shown or watched somewhere.
    const used = new Set([...queries, read('prometheus/alerts.yml')].flatMap(namesIn));
    const own = [...last.types.keys()].filter((name) => name.startsWith('mission_'));
    const isUsed = (name: string) => [...used].some((each) => each.startsWith(name));
    expect(own.filter((name) => !isUsed(name) && !unwatched.has(name))).toEqual([]);
  });
});

/** What is there to be looked at by those who ask. */
const unwatched: ReadonlySet<string> = new Set([
  'mission_build_info',
  'mission_events_last_sequence',
  'mission_events_unnumbered',
]);

const run = promisify(execFile);
const promtool = await run('promtool', ['--version']).then(
  () => true,
  () => false,
);

test.skipIf(!promtool)(
  'each alert fires on what it is for, and is quiet on its benign twin (needs promtool: see .ci/run)',
  async () => {
    const folder = join(deploy, 'prometheus');
    await run('promtool', ['check', 'rules', join(folder, 'alerts.yml')], { timeout: 60_000 });
    const { stdout } = await run('promtool', ['test', 'rules', join(folder, 'alerts.test.yml')], {
      timeout: 60_000,
    });
    expect(stdout).toContain('SUCCESS');
    const rules = [...readFileSync(join(folder, 'alerts.yml'), 'utf8').matchAll(/- alert: (\w+)/g)];
    const tests = readFileSync(join(folder, 'alerts.test.yml'), 'utf8');
    for (const [, name] of rules) {
      expect(tests).toContain(`name: ${name} fires`);
      expect(tests).toContain(`name: ${name} stays quiet`);
    }
  },
);
