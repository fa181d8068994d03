import { expect, test } from 'vitest';
import { problem, readyView, versionView } from '../../contract/system.ts';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { House } from '../e2e/house.ts';
import { makeHome, until } from '../start-app.ts';
import { Exposition } from './exposition.ts';
import { standBetween } from './severed-database.ts';

test('a whole house is ready, and says so to whoever asks', async () => {
  await using house = await House.open();
  const open = (path: string) => fetch(`${house.url}/api/v1${path}`);
  const ready = await open('/ready');
  expect(ready.status).toBe(200);
  const { findings } = readyView.parse(await ready.json());
  expect(findings.map(({ name, state }) => [name, state])).toEqual([
    ['database', 'ok'],
    ['migrations', 'ok'],
    ['sequencer', 'ok'],
    ['workers', 'ok'],
  ]);
  expect(versionView.parse(await (await open('/version')).json()).version).toMatch(/^\d+\.\d+\.\d+/);

  // Doctor tells the same, of the same rows.
  await house.database.many(sql`UPDATE schema_migrations SET number = number + 1000 WHERE number = 1`);
  const told = await until(async () => {
    const response = await open('/ready');
    return response.status === 503 ? problem.parse(await response.json()) : undefined;
  }, 'it is told');
  expect(told.code).toBe('not_ready');
  expect(told.detail).toContain('migrations: the schema is at 1001');
  const doctor = await house.ask<{ findings: { name: string; state: string }[] }>('GET', '/doctor');
  expect(doctor.findings.find(({ name }) => name === 'migrations')?.state).toBe('failed');
});

test('without a worker, work does not go on', async () => {
  await using house = await House.open({ roles: ['api'] });
  const response = await fetch(`${house.url}/api/v1/ready`);
  expect(response.status).toBe(503);
  expect(problem.parse(await response.json()).detail).toBe(
    'Work does not go on. workers: no worker is up: runs wait in the queue (mission up --roles worker)',
  );
});

test('without its database the server lives, is not ready, and says which of both in its measurements', async () => {
  await using database = await createTestDatabase();
  await using between = await standBetween(database.connection);
  await using home = await makeHome();
  const token = 'a-scraper-of-the-tests';
  const env = { DATABASE_URL: between.connectionString, MISSION_METRICS_TOKEN: token };
  await home.start({ roles: 'api', env });
  const { url } = await home.api.connection();
  const scrape = async () => {
    const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    return new Exposition(await response.text());
  };
  expect((await scrape()).value('mission_database_up')).toBe(1);
  between.cut();
  expect((await fetch(`${url}/api/v1/health`)).status).toBe(200);
  const response = await fetch(`${url}/api/v1/ready`);
  expect(response.status).toBe(503);
  expect(problem.parse(await response.json()).detail).toContain('database: ');
  const away = await until(async () => {
    const found = await scrape();
    return found.value('mission_database_up') === 0 ? found : undefined;
  }, 'the measurements tell of it');
  // What was true before is not told as if it still were.
  expect(away.value('mission_workers')).toBeUndefined();
  expect(away.value('mission_http_request_duration_seconds_count')).toBeGreaterThan(0);
});

test('every answer names its request, and goes on in its caller’s trace', async () => {
  await using house = await House.open({ roles: ['api'] });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-00` };
  for (const path of ['/tasks', '/health', '/tasks/task_x', '/nothing', '/events?limit=wrong']) {
    const response = await house.fetch(path, { headers });
    // Whoever began the trace decided that it is not kept.
    expect(response.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    const id = response.headers.get('x-request-id');
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const body = await response.json();
    if (response.status >= 400) expect(problem.parse(body).requestId).toBe(id);
  }
  const alone = await fetch(`${house.url}/api/v1/health`, { headers: { traceparent: 'nonsense' } });
  expect(alone.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});
