import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Database } from './database.ts';
import { loadMigrations, type Migration, migrate } from './migrate.ts';
import { sql } from './sql.ts';
import { createTestDatabase } from './test-database.ts';

const first: Migration = {
  number: 1,
  name: 'first',
  text: `CREATE TABLE a (x integer); -- a comment; with a semicolon
    CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
    INSERT INTO a VALUES (f());`,
};
const second: Migration = { number: 2, name: 'second', text: 'ALTER TABLE a ADD y integer' };

const applied = (database: Database) =>
  database.many(sql`SELECT number, name FROM schema_migrations ORDER BY number`);

test('applies what is missing, in order, once', async () => {
  await using own = await createTestDatabase({ migrations: [] });
  expect(await migrate(own.database, [first])).toEqual([1]);
  expect(await migrate(own.database, [first, second])).toEqual([2]);
  expect(await migrate(own.database, [first, second])).toEqual([]);
  expect(await own.database.many(sql`SELECT x, y FROM a`)).toEqual([{ x: 1, y: null }]);
  expect(await applied(own.database)).toEqual([
    { number: 1, name: 'first' },
    { number: 2, name: 'second' },
  ]);
});

test('a migration that fails leaves nothing of itself', async () => {
  await using own = await createTestDatabase({ migrations: [] });
  const failing = { ...second, text: 'CREATE TABLE half (x integer); SELECT 1/0;' };
  await expect(migrate(own.database, [first, failing])).rejects.toMatchObject({ code: '22012' });
  expect(await applied(own.database)).toEqual([{ number: 1, name: 'first' }]);
  expect(await own.database.one(sql`SELECT to_regclass('half') AS half`)).toEqual({ half: null });
  expect(await migrate(own.database, [first, second])).toEqual([2]);
});

test('a migration that commits by itself is refused', async () => {
  await using own = await createTestDatabase({ migrations: [] });
  const committing = { ...second, text: 'CREATE TABLE b (x integer); COMMIT;' };
  await expect(migrate(own.database, [first, committing])).rejects.toThrow(/SAVEPOINT/);
  expect(await applied(own.database)).toEqual([{ number: 1, name: 'first' }]);
});

test('a newer database, a changed file and one slipped in are told apart', async () => {
  await using own = await createTestDatabase({ migrations: [first, second] });
  const third = { number: 3, name: 'third', text: 'SELECT 1' };
  await expect(migrate(own.database, [first])).rejects.toMatchObject({ code: 'newer_database' });
  const changed = { ...first, text: `${first.text} ` };
  await expect(migrate(own.database, [changed, second])).rejects.toThrow(/0001_first was changed/);
  await expect(migrate(own.database, [second, third])).rejects.toThrow(/0001_first is missing/);
  await migrate(own.database, [first, second, { ...third, number: 5 }]);
  const late = { number: 4, name: 'late', text: 'SELECT 1' };
  await expect(migrate(own.database, [first, second, late, { ...third, number: 5 }])).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('of several at once one applies, and one that cannot wait longer says so', async () => {
  await using own = await createTestDatabase({ migrations: [] });
  const results = await Promise.all([1, 2, 3].map(() => migrate(own.database, [first, second])));
  expect(results.map(({ length }) => length).sort()).toEqual([0, 0, 2]);

  await using holder = await own.database.session();
  await holder.many(sql`SELECT pg_advisory_lock(470001)`);
  await expect(migrate(own.database, [first, second], 100)).rejects.toMatchObject({
    code: 'database_unavailable',
  });
});

test('a migrator that is killed in the middle leaves the old schema, and the next one finishes', async () => {
  await using own = await createTestDatabase({ migrations: [] });
  await using watcher = await own.database.session();
  await watcher.many(sql`SELECT pg_advisory_lock(99)`);
  const text =
    'CREATE TABLE half (x integer); SELECT pg_advisory_xact_lock(99); ALTER TABLE half ADD y integer;';
  const child = spawnMigrator(own.connectionString, [first, { ...second, text }]);
  await expect
    .poll(() => own.database.many(sql`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`))
    .toHaveLength(1);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await watcher.many(sql`SELECT pg_advisory_unlock(99)`);
  expect(await migrate(own.database, [first, { ...second, text }])).toEqual([2]);
  expect(await own.database.many(sql`SELECT x, y FROM half`)).toEqual([]);
});

test('files are loaded in order, and wrong names and numbers are refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  try {
    expect(await loadMigrations(folder)).toEqual([]);
    await writeFile(join(folder, '0002_b-b.sql'), 'SELECT 2');
    await writeFile(join(folder, '0001_a.sql'), 'SELECT 1');
    await writeFile(join(folder, 'README.md'), '');
    expect(await loadMigrations(folder)).toEqual([
      { number: 1, name: 'a', text: 'SELECT 1' },
      { number: 2, name: 'b-b', text: 'SELECT 2' },
    ]);
    await writeFile(join(folder, '0002_c.sql'), '');
    await expect(loadMigrations(folder)).rejects.toThrow(/number 2/);
    await writeFile(join(folder, 'c.sql'), '');
    await expect(loadMigrations(folder)).rejects.toThrow(/c\.sql/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

function spawnMigrator(connection: string, migrations: Migration[]): ChildProcess {
  const program = `
    import { pino } from 'pino';
    import { openDatabase } from '${new URL('./postgres.ts', import.meta.url)}';
    import { migrate } from '${new URL('./migrate.ts', import.meta.url)}';
    const [connection, migrations] = JSON.parse(process.argv[1]);
    const log = pino({ level: 'silent' });
    const database = await openDatabase({ connection, crashPoints: { reach: () => {} }, log });
    await migrate(database, migrations);`;
  const args = ['--input-type=module', '--eval', program, JSON.stringify([connection, migrations])];
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
