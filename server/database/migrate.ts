import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { Database, Session } from './database.ts';
import { raw, sql } from './sql.ts';
import { poll } from './waiting.ts';

export interface Migration {
  number: number;
  /** The file's name without number and ending. */
  name: string;
  /** SQL, any number of statements that may run in a transaction; no `BEGIN` or `COMMIT` of its own. */
  text: string;
}

/**
 * The files `NNNN_name.sql` of a folder, in order.
 * @throws Error for a file of another name and for a number given twice: faults of ours
 */
export async function loadMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = await Promise.all(
    files.map(async (file): Promise<Migration> => {
      const match = /^(\d{4})_([a-z0-9][a-z0-9_-]*)\.sql$/.exec(file);
      if (!match?.[1] || !match[2]) throw new Error(`${file} is not named as a migration is: 0001_name.sql`);
      return { number: Number(match[1]), name: match[2], text: await readFile(join(folder, file), 'utf8') };
    }),
  );
  for (const [index, { number }] of migrations.entries()) {
    if (migrations[index + 1]?.number === number) throw new Error(`two migrations have the number ${number}`);
  }
  return migrations;
}

/** What a set of migrations is, in sixteen hexadecimal digits. */
export function hashOf(migrations: readonly Migration[]): string {
  const hash = createHash('sha256');
  for (const migration of migrations) hash.update(`${migration.number} ${sha256(migration.text)}\n`);
  return hash.digest('hex').slice(0, 16);
}

/**
 * Applies what is not applied yet, each migration in one transaction with its row in `schema_migrations`, so that a
 * kill leaves it done or not begun. Of several processes one applies and the others wait for it. The database's time
 * limit holds for each statement: give one opened with a long `timeoutMs` where there is much data.
 * @param limitMs how long to wait for another process; default 60 s
 * @returns the numbers applied now
 * @throws AppError `newer_database` for a database that knows migrations that we do not; `conflict` for a migration
 * that was changed or slipped in after it was applied; `database_unavailable`
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  limitMs = 60_000,
): Promise<number[]> {
  // The lock lives as long as this connection, so that a killed process leaves none.
  await using session = await database.session();
  const locked = await poll(limitMs, 50, async () => {
    const { held } = await session.one<{ held: boolean }>(
      sql`SELECT pg_try_advisory_lock(${lockKey}) AS held`,
    );
    return held || undefined;
  });
  if (!locked) {
    throw new AppError(
      'database_unavailable',
      `another process has been changing the database's schema for ${limitMs / 1000} s; try again when it is done`,
    );
  }
  const pending = findPending(migrations, await readApplied(session));
  for (const migration of pending) await apply(session, migration);
  return pending.map(({ number }) => number);
}

interface Applied {
  number: number;
  name: string;
  sha256: string;
}

/** The migrations to apply, by comparing what is with what was. @throws AppError as `migrate` does */
function findPending(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const highest = Math.max(0, ...applied.map(({ number }) => number));
  const highestKnown = Math.max(0, ...migrations.map(({ number }) => number));
  if (highest > highestKnown) {
    throw new AppError(
      'newer_database',
      `the database is at version ${highest} and this Mission Control knows ${highestKnown}: start a newer one`,
      { detail: { database: highest, code: highestKnown } },
    );
  }
  for (const row of applied) {
    const migration = migrations.find(({ number }) => number === row.number);
    if (migration && sha256(migration.text) === row.sha256) continue;
    const what = migration ? 'was changed' : 'is missing';
    throw new AppError(
      'conflict',
      `migration ${format(row)} ${what} after it was applied to this database: restore the file, and put changes into a new one`,
    );
  }
  const pending = migrations.filter(({ number }) => !applied.some((row) => row.number === number));
  const late = pending.find(({ number }) => number < highest);
  if (late) {
    throw new AppError(
      'conflict',
      `migration ${format(late)} comes before one that is applied already: give it a number above ${highest}`,
    );
  }
  return [...pending].sort((a, b) => a.number - b.number);
}

async function readApplied(session: Session): Promise<Applied[]> {
  await session.transaction('migrate.prepare', (transaction) =>
    transaction.many(sql`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        number integer PRIMARY KEY,
        name text NOT NULL,
        sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`),
  );
  return session.many<Applied>(sql`SELECT number, name, sha256 FROM schema_migrations ORDER BY number`);
}

async function apply(session: Session, migration: Migration): Promise<void> {
  const { number, name, text } = migration;
  await session.transaction(`migrate.${format(migration)}`, async (transaction) => {
    // The row's statement shows a text that committed by itself: outside of its transaction the savepoint is gone.
    await transaction.many(sql`SAVEPOINT whole`);
    await transaction.many(raw(text));
    await transaction.many(sql`RELEASE SAVEPOINT whole`);
    await transaction.many(sql`
      INSERT INTO schema_migrations (number, name, sha256) VALUES (${number}, ${name}, ${sha256(text)})`);
  });
}

const format = ({ number, name }: { number: number; name: string }) =>
  `${String(number).padStart(4, '0')}_${name}`;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Any constant number; nothing else takes an advisory lock by it. */
const lockKey = 470_001;
