import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { findBrokenLink } from '../../server/events/verify.ts';
import { mission } from '../mission.ts';
import { makeHome } from '../start-app.ts';

const execute = promisify(execFile);

test('a backup taken while a run waits comes back elsewhere, and the run goes on there', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const file = join(home.path, '..', 'all.backup');
  {
    await using _server = await home.start({ env: { DATABASE_URL: database.connectionString } });
    const { run } = await home.api.createTask({
      instructions: 'Ask — “what” \\ to do?\n\t',
      repository: home.repository,
      checks: ['true'],
      model: 'recorded/questions',
    });
    await home.api.awaitEvent(({ type, runid }) => type === 'ask.opened' && runid === run.id);
    const { status, stderr } = await mission(home.path, ['backup', file]);
    expect([status, stderr]).toEqual([0, expect.stringContaining('vault.key')]);
    expect((await mission(home.path, ['backup', file])).stderr).toContain('is there already');
  }
  await using empty = await createTestDatabase({ migrations: [] });
  await using other = await makeHome();
  const env = { DATABASE_URL: empty.connectionString };
  const restored = await mission(other.path, ['restore', file], env);
  expect(restored.stderr).toBe('');
  expect(restored.stdout).toContain('the log holds');
  expect(await findBrokenLink(empty.database)).toBeNull();
  for (const table of ['tasks', 'steps', 'asks', 'timers', 'artifacts', 'budgets', 'principals']) {
    const rows = { parts: [`SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY t::text`], values: [] };
    expect(await empty.database.many(rows)).toEqual(await database.database.many(rows));
  }
  const contents = (folder: string) => readdir(join(folder, 'artifacts'), { recursive: true });
  expect((await contents(other.path)).sort()).toEqual((await contents(home.path)).sort());

  const again = await mission(other.path, ['restore', file], env);
  expect([again.status, again.stderr]).toEqual([
    1,
    expect.stringContaining('is not empty; nothing was changed'),
  ]);
  await using _second = await other.start({ env });
  const [ask] = await other.api.asks('open');
  await other.api.decide(ask?.id ?? '', 'answer', 'yes');
  await other.api.awaitEvent(({ type, runid }) => type === 'run.claimed' && runid === ask?.runId);
});

test('what is damaged or newer is refused, and nothing is changed', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const whole = join(home.path, '..', 'whole.backup');
  {
    await using _server = await home.start({ env: { DATABASE_URL: database.connectionString } });
    expect((await mission(home.path, ['backup', whole])).status).toBe(0);
  }
  const bytes = await readFile(whole);
  const text = gunzipSync(bytes).toString();
  const broken: [string, Buffer, string][] = [
    ['cut', bytes.subarray(0, bytes.length - 100), 'is damaged or no backup'],
    [
      'flipped',
      Buffer.from(bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte))),
      'is damaged',
    ],
    ['edited', gzipSync(text.replace('"owner"', '"other"')), 'its checksum is another'],
    ['a text', Buffer.from('hello'), 'is damaged or no backup'],
    ['headless', gzipSync(text.split('\n').slice(1).join('\n')), 'is damaged or no backup'],
  ];
  const newer = gunzipSync(bytes).toString().split('\n');
  newer[0] = JSON.stringify({ ...JSON.parse(newer[0] ?? ''), schema: 9999 });
  await using empty = await createTestDatabase({ migrations: [] });
  const env = { DATABASE_URL: empty.connectionString };
  for (const [name, content, sentence] of [
    ...broken,
    ['newer', gzipSync(await signed(newer)), 'made by a newer Mission Control'] as const,
  ]) {
    const file = join(home.path, '..', `${name}.backup`);
    await writeFile(file, content);
    const { status, stderr } = await mission(home.path, ['restore', file], env);
    expect([name, status, stderr]).toEqual([name, 1, expect.stringContaining(sentence)]);
  }
  expect((await mission(home.path, ['restore', '/nowhere'], env)).stderr).toContain(
    'there is no file /nowhere',
  );
  const tables = await empty.database.many(
    sql`SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
  );
  expect(tables).toEqual([{ name: 'schema_migrations' }]);
});

/** With the checksum that belongs to the lines, as a newer version would have written it. */
async function signed(lines: string[]): Promise<string> {
  const body = lines
    .slice(0, -2)
    .map((line) => `${line}\n`)
    .join('');
  const child = execute('sha256sum');
  child.child.stdin?.end(body);
  const sha256 = (await child).stdout.slice(0, 64);
  return `${body}${JSON.stringify({ ...JSON.parse(lines.at(-2) ?? ''), sha256 })}\n`;
}
