import { expect, test } from 'vitest';
import { problem, readyView } from '../../contract/system.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { makeHome, type ServerProcess } from '../start-app.ts';
import { Exposition } from './exposition.ts';

const token = 'a-scraper-of-the-tests';

/** Where a process says that it can be watched. */
async function addressOf(server: ServerProcess): Promise<string> {
  await server.awaitLog('measurements are served');
  const [, url] = /"url":"([^"]+)","msg":"measurements are served"/.exec(server.log()) ?? [];
  return url ?? '';
}

test('a process that only works is watched on a port of its own, by the same rules as the server', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const env = { DATABASE_URL: database.connectionString, MISSION_METRICS_TOKEN: token };
  await home.start({ roles: 'api', env });
  const worker = await home.start({ roles: 'worker', env: { ...env, MISSION_METRICS_PORT: '0' } });
  const url = await addressOf(worker);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const { key } = await home.api.connection();
  const scrape = (secret: string) =>
    fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${secret}` } });
  const read = async (secret: string) => new Exposition(await (await scrape(secret)).text());

  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
  const ready = await fetch(`${url}/ready`);
  expect(ready.status).toBe(200);
  expect(readyView.parse(await ready.json()).findings.map(({ name }) => name)).toContain('workers');
  expect((await fetch(`${url}/api/v1/version`)).status).toBe(200);
  expect((await read(token)).value('mission_database_up')).toBe(1);
  expect((await read(key)).value('process_resident_memory_bytes')).toBeGreaterThan(0);

  for (const refused of [await fetch(`${url}/metrics`), await scrape('not-the-token-of-the-tests')]) {
    expect(refused.status).toBe(401);
    expect(problem.parse(await refused.json()).code).toBe('unauthenticated');
  }
  const foreign = await fetch(`${url}/health`, { headers: { origin: 'http://evil.example' } });
  expect(foreign.status).toBe(403);
  const tasks = await fetch(`${url}/api/v1/tasks`, { headers: { authorization: `Bearer ${key}` } });
  expect(tasks.status).toBe(404);
  expect(problem.parse(await tasks.json()).detail).toContain('/metrics');

  // What this process ran is told by nobody else.
  await home.api.createTask({
    instructions: 'Mend the pear.',
    repository: home.repository,
    checks: ['sh check.sh'],
    model: 'recorded/tiny',
  });
  await home.api.awaitEvent(
    ({ type, data }) => type === 'run.waiting' && JSON.stringify(data).includes('"on":"ask"'),
  );
  expect((await read(token)).value('mission_sandbox_starts_total')).toBeGreaterThan(0);

  const taken = home.spawn({
    roles: 'worker',
    env: { ...env, MISSION_METRICS_PORT: new URL(url).port },
  });
  expect(await taken.exit).toMatchObject({ code: 1 });
  expect(taken.log()).toContain('choose a port with MISSION_METRICS_PORT');
  expect(await worker.stop()).toMatchObject({ code: 0 });
}, 120_000);
