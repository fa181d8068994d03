import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database, Transaction } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrate.ts';
import { raw, type Sql, sql } from '../database/sql.ts';
import { AppError } from '../errors.ts';
import { findBrokenLink } from '../events/verify.ts';
import { type BackupHeader, type BackupLine, leftOut, quote } from './format.ts';
import { checkBackup, newer, readBackup } from './read-backup.ts';

export interface Restored {
  rows: number;
  files: number;
  events: number;
  createdAt: string;
}

const rowsAtOnce = 200;

/**
 * Restores a backup into an empty database and brings its schema up to date. All that can be wrong with file and
 * target is found before anything is changed; the rows come in one transaction that commits only where the log's
 * hash chain holds.
 * @param target.database opened with a long time limit
 * @throws AppError unprocessable, newer_database, not_found, conflict for a target that is not empty
 */
export async function restoreBackup(
  file: string,
  target: { database: Database; artifacts: string; migrations: readonly Migration[] },
): Promise<Restored> {
  const { database, artifacts, migrations } = target;
  const header = await checkBackup(file);
  requireKnownSchema(file, header, migrations);
  await requireEmpty(database);
  await migrate(
    database,
    migrations.filter(({ number }) => number <= header.schema),
  );
  const files = await restoreContents(file, artifacts);
  const { rows, events } = await database.transaction('restore', async (transaction) => {
    const count = await restoreRows(file, transaction);
    const broken = await findBrokenLink(transaction);
    if (broken !== null) {
      throw new AppError(
        'unprocessable',
        `the log in ${file} does not hold at event ${broken}: it was changed; nothing was restored`,
      );
    }
    const log = await transaction.one<{ events: number }>(sql`SELECT count(*) AS events FROM events`);
    return { rows: count, events: Number(log.events) };
  });
  await migrate(database, migrations);
  return { rows, files, events, createdAt: header.createdAt };
}

function requireKnownSchema(file: string, header: BackupHeader, migrations: readonly Migration[]): void {
  if (header.schema > Math.max(0, ...migrations.map(({ number }) => number))) throw newer(file);
  for (const { number, sha256 } of header.migrations) {
    const ours = migrations.find((migration) => migration.number === number);
    if (ours !== undefined && createHash('sha256').update(ours.text).digest('hex') === sha256) continue;
    throw new AppError(
      'unprocessable',
      `${file} was made by a version whose migration ${number} is another (${header.version}); nothing was changed: restore it with that version`,
    );
  }
}

async function requireEmpty(database: Database): Promise<void> {
  const tables = await database.many<{ name: string }>(
    sql`SELECT relname AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')`,
  );
  const names = new Set(tables.map(({ name }) => name));
  // Tables of ours without a row are what a restore leaves that was cut off.
  const isOurs = names.has('schema_migrations');
  const isUsed =
    names.has('principals') &&
    (await database.one<{ used: boolean }>(
      sql`SELECT EXISTS (SELECT FROM principals) OR EXISTS (SELECT FROM events) AS used`,
    ));
  if (names.size === 0 || (isOurs && (isUsed === false || !isUsed.used))) return;
  throw new AppError(
    'conflict',
    'the database is not empty; nothing was changed: restore into a new MISSION_HOME, or a new database by DATABASE_URL',
  );
}

async function restoreRows(file: string, transaction: Transaction): Promise<number> {
  const constraints = await dropForeignKeys(transaction);
  let table: Extract<BackupLine, { table: string }> | undefined;
  let rows: (string | null)[][] = [];
  let count = 0;
  const flush = async () => {
    if (table !== undefined && rows.length > 0) await transaction.many(insertOf(table, rows));
    count += rows.length;
    rows = [];
  };
  for await (const line of readBackup(file)) {
    if ('row' in line) {
      rows.push(line.row);
      if (rows.length >= rowsAtOnce) await flush();
      continue;
    }
    await flush();
    if ('table' in line) {
      if (leftOut.includes(line.table))
        throw new AppError('unprocessable', `${line.table} does not belong there`);
      table = line;
      // What a migration put there is in the backup too; the log refuses a DELETE and is empty.
      if (line.table !== 'events') await transaction.many(raw(`DELETE FROM ${quote(line.table)}`));
    } else if ('sequence' in line) {
      await transaction.many(sql`SELECT setval(${quote(line.sequence)}::regclass, ${line.value}::bigint)`);
    }
  }
  for (const statement of constraints) await transaction.many(raw(statement));
  return count;
}

/** Rows may then come in any order. @returns the statements that bring the constraints back, and check them */
async function dropForeignKeys(transaction: Transaction): Promise<string[]> {
  const keys = await transaction.many<{ drop: string; add: string }>(
    sql`SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
          format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS add
        FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace`,
  );
  for (const { drop } of keys) await transaction.many(raw(drop));
  return keys.map(({ add }) => add);
}

/** Types come from a file whose checksum is right, and still only names of types pass. */
function insertOf(
  { table, columns }: Extract<BackupLine, { table: string }>,
  rows: (string | null)[][],
): Sql {
  const odd = columns.find(({ type }) => !/^[a-z][a-z0-9 _]*(\(\d+(,\d+)?\))?( [a-z ]+)?(\[\])?$/.test(type));
  if (odd !== undefined) throw new AppError('unprocessable', `${table}.${odd.name} has no type: ${odd.type}`);
  const names = columns.map(({ name }) => quote(name)).join(', ');
  const casts = columns.map(({ type }, index) => `(value ->> ${index})::${type}`).join(', ');
  return {
    parts: [
      `INSERT INTO ${quote(table)} (${names}) OVERRIDING SYSTEM VALUE SELECT ${casts} FROM jsonb_array_elements(`,
      '::jsonb) AS value',
    ],
    values: [JSON.stringify(rows)],
  };
}

/** Contents are named by what they are, so that having one already is as good as writing it. */
async function restoreContents(file: string, folder: string): Promise<number> {
  let current: { handle: FileHandle; temporary: string; path: string } | undefined;
  let count = 0;
  const finish = async () => {
    if (current === undefined) return;
    const { handle, temporary, path } = current;
    current = undefined;
    await handle.sync();
    await handle.close();
    await rename(temporary, path);
    count += 1;
  };
  try {
    for await (const line of readBackup(file)) {
      if ('bytes' in line) {
        await current?.handle.writeFile(Buffer.from(line.bytes, 'base64'));
        continue;
      }
      await finish();
      if (!('file' in line)) continue;
      const parent = join(folder, line.file.slice(0, 2));
      await mkdir(parent, { recursive: true, mode: 0o700 });
      const path = join(parent, line.file);
      const temporary = `${path}.${randomBytes(6).toString('hex')}`;
      current = { handle: await open(temporary, 'wx', 0o600), temporary, path };
    }
  } finally {
    if (current !== undefined) {
      await current.handle.close();
      await rm(current.temporary, { force: true });
    }
  }
  return count;
}
