import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { mission } from '../mission.ts';
import { makeHome } from '../start-app.ts';

test('a port that is taken: told, and the database is left in order', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const env = { DATABASE_URL: database.connectionString, MISSION_PORT: String(port) };
  const { status, stderr } = await mission(home.path, ['up'], env);
  other.close();
  expect(status).toBe(1);
  expect(stderr).toContain(`port ${port} on 127.0.0.1 is taken by another program: end it, or choose a port`);
  expect(await database.database.many(sql`SELECT * FROM workers`)).toEqual([]);
  expect(await database.database.many(sql`SELECT * FROM job_workers`)).toEqual([]);
});

test('a second server on the same data names the first, which goes on', async () => {
  await using home = await makeHome();
  await using first = await home.start();
  const connection = await readFile(join(home.path, 'cli.json'), 'utf8');
  const { status, stderr } = await mission(home.path, ['up'], { MISSION_PORT: '0' });
  expect(status).toBe(1);
  expect(stderr).toContain(`the data is in use by process ${first.pid}`);
  expect(stderr).toContain('stop it first, or set MISSION_HOME');
  expect(await readFile(join(home.path, 'cli.json'), 'utf8')).toBe(connection);
  expect((await mission(home.path, ['status'])).status).toBe(0);
});

test('a database newer than the code is not touched', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  await database.database.many(
    sql`INSERT INTO schema_migrations (number, name, sha256) VALUES (9999, 'tomorrow', 'x')`,
  );
  const env = { DATABASE_URL: database.connectionString, MISSION_PORT: '0' };
  const { status, stderr } = await mission(home.path, ['up'], env);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /the database is at version 9999 and this Mission Control knows \d+: start a newer one/,
  );
});

test.each([
  ['{"port": 4700,}', 'is not JSON'],
  ['{"prot": 4700}', 'Unrecognized key: "prot"'],
  ['{"budget": {"runUsd": -1}}', 'budget.runUsd: '],
  [
    '{"notifications": {"phone": {"kind": "ntfy", "url": "env:NTFY_URL"}}}',
    'the notification phone in mission.config.json wants NTFY_URL, which is not set',
  ],
  ['{"notifications": {"phone": {"kind": "ntfy", "url": "file:///x"}}}', 'an http:// or https:// address'],
])('a broken mission.config.json: %s', async (text, sentence) => {
  await using home = await makeHome();
  await writeFile(join(home.path, 'mission.config.json'), text);
  const { status, stderr } = await mission(home.path, ['up'], { MISSION_PORT: '0' });
  expect(status).toBe(1);
  expect(stderr).toContain('mission.config.json');
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
