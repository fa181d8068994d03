import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { pino } from 'pino';
import { readCrashPoints } from '../crash-points.ts';
import { type Connection, connectionStringOf } from './connection.ts';
import type { Database } from './database.ts';
import { hashOf, loadMigrations, type Migration, migrate } from './migrate.ts';
import { type DatabaseOptions, openDatabase } from './postgres.ts';

/** How the tests' shared PostgreSQL is told to every process of a test run: its connection as JSON. */
export const testServerVariable = 'MISSION_TEST_POSTGRES';

export interface TestDatabase extends AsyncDisposable {
  readonly database: Database;
  readonly connection: Connection;
  /** For another process of the test. */
  readonly connectionString: string;
}

interface TestDatabaseOptions extends Partial<Omit<DatabaseOptions, 'connection'>> {
  /** Instead of the project's own; `[]` for an empty database. */
  migrations?: readonly Migration[];
}

/** A database of the test's own, with every migration applied, as a copy of a template; dropped on disposal. */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const server = testServer();
  const migrations = options.migrations ?? (await loadMigrations(migrationsFolder));
  const name = `test_${randomBytes(8).toString('hex')}`;
  const log = options.log ?? pino({ level: 'silent' });
  const crashPoints = options.crashPoints ?? readCrashPoints({});

  await asAdministrator(server, async (admin) => {
    // Copying needs a template that nobody is connected to, and copies at once get in one another's way.
    await admin.query(`SET lock_timeout = '60s'; SELECT pg_advisory_lock(${copyLock})`);
    const template = `template_${hashOf(migrations)}`;
    const known = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (known.rows.length === 0) await makeTemplate(admin, server, template, migrations);
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`);
  });

  const connection = { ...server, database: name };
  const database = await openDatabase({ ...options, connection, crashPoints, log });
  return {
    database,
    connection,
    connectionString: connectionStringOf(connection),
    async [Symbol.asyncDispose]() {
      await database.close();
      await asAdministrator(server, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

/** The tests' shared PostgreSQL, as its superuser. */
function testServer(): Connection {
  const text = process.env[testServerVariable];
  if (!text)
    throw new Error(`${testServerVariable} is not set: run this through vitest, whose global set-up sets it`);
  const parsed: Connection = JSON.parse(text);
  return parsed;
}

const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url));
const copyLock = 470_002;

/** Under another name until it is whole, so that a test run that is killed leaves no half template. */
async function makeTemplate(
  admin: pg.Client,
  server: Connection,
  template: string,
  migrations: readonly Migration[],
): Promise<void> {
  const unfinished = `${template}_unfinished`;
  await admin.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${unfinished}`);
  const database = await openDatabase({
    connection: { ...server, database: unfinished },
    crashPoints: readCrashPoints({}),
    log: pino({ level: 'silent' }),
    poolSize: 1,
  });
  try {
    await migrate(database, migrations);
  } finally {
    await database.close();
  }
  await admin.query(`ALTER DATABASE ${unfinished} RENAME TO ${template}`);
}

/** For statements that run in no transaction. Names in them are made here, never taken from outside. */
async function asAdministrator(
  server: Connection,
  use: (admin: pg.Client) => Promise<unknown>,
): Promise<void> {
  const admin = new pg.Client({ ...server, connectionTimeoutMillis: 30_000, query_timeout: 90_000 });
  await admin.connect();
  try {
    await use(admin);
  } finally {
    await admin.end();
  }
}
