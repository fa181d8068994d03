import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createGzip, type Gzip } from 'node:zlib';
import type { Database, Transaction } from '../database/database.ts';
import { raw, sql } from '../database/sql.ts';
import { type BackupLine, backupFormat, leftOut, quote } from './format.ts';

export interface BackupSource {
  database: Database;
  /** Where the contents of artifacts lie. */
  artifacts: string;
  version: string;
}

const rowsAtOnce = 200;
const pieceBytes = 256 * 1024;

/** Everything, as of one moment, while work goes on. An error of the stream means that what was read is worth nothing. */
export function openBackup(source: BackupSource, signal: AbortSignal): Readable {
  const gzip = createGzip();
  const stop = AbortSignal.any([signal, closedSignal(gzip)]);
  writeBackup(source, new Lines(gzip, stop), stop).then(
    () => gzip.end(),
    (error: Error) => gzip.destroy(error),
  );
  return gzip;
}

function closedSignal(gzip: Gzip): AbortSignal {
  const closed = new AbortController();
  gzip.once('close', () => closed.abort());
  return closed.signal;
}

class Lines {
  readonly #gzip: Gzip;
  readonly #signal: AbortSignal;
  readonly #hash = createHash('sha256');

  constructor(gzip: Gzip, signal: AbortSignal) {
    this.#gzip = gzip;
    this.#signal = signal;
  }

  async write(line: BackupLine): Promise<void> {
    this.#signal.throwIfAborted();
    const text = `${JSON.stringify(line)}\n`;
    this.#hash.update(text);
    if (!this.#gzip.write(text)) await once(this.#gzip, 'drain', { signal: this.#signal });
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

async function writeBackup(source: BackupSource, lines: Lines, signal: AbortSignal): Promise<void> {
  await using session = await source.database.session();
  let rows = 0;
  const contents = await session.transaction('backup', async (transaction) => {
    await transaction.many(raw('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY'));
    // Whoever takes the backup may be slow.
    await transaction.many(raw('SET LOCAL idle_in_transaction_session_timeout = 0'));
    await writeHeader(transaction, source, lines);
    for (const table of await readTables(transaction)) rows += await writeTable(transaction, table, lines);
    for (const line of await readSequences(transaction)) await lines.write(line);
    return transaction.many<{ hash: string }>(sql`SELECT DISTINCT hash FROM artifacts ORDER BY hash`);
  });
  let files = 0;
  for (const { hash } of contents) {
    signal.throwIfAborted();
    files += (await writeContent(source.artifacts, hash, lines)) ? 1 : 0;
  }
  await lines.write({ end: true, rows, files, sha256: lines.digest() });
}

async function writeHeader(transaction: Transaction, source: BackupSource, lines: Lines): Promise<void> {
  const migrations = await transaction.many<{ number: number; sha256: string }>(
    sql`SELECT number, sha256 FROM schema_migrations ORDER BY number`,
  );
  await lines.write({
    backup: backupFormat,
    schema: migrations.at(-1)?.number ?? 0,
    migrations,
    version: source.version,
    createdAt: new Date().toISOString(),
  });
}

interface Table {
  table: string;
  columns: { name: string; type: string }[];
}

async function readTables(transaction: Transaction): Promise<Table[]> {
  return transaction.many<Table>(
    sql`SELECT relname AS table, json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod))
            ORDER BY attnum) AS columns
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
          AND attgenerated = '' AND relname <> ALL(${leftOut}::text[])
        GROUP BY relname ORDER BY relname`,
  );
}

async function writeTable(
  transaction: Transaction,
  { table, columns }: Table,
  lines: Lines,
): Promise<number> {
  await lines.write({ table, columns });
  const values = columns.map(({ name }) => `${quote(name)}::text`).join(', ');
  await transaction.many(
    raw(
      `DECLARE rows_of_table NO SCROLL CURSOR FOR SELECT ARRAY[${values}]::text[] AS row FROM ${quote(table)}`,
    ),
  );
  let count = 0;
  for (;;) {
    const rows = await transaction.many<{ row: (string | null)[] }>(
      raw(`FETCH ${rowsAtOnce} FROM rows_of_table`),
    );
    for (const { row } of rows) await lines.write({ row });
    count += rows.length;
    if (rows.length < rowsAtOnce) break;
  }
  await transaction.many(raw('CLOSE rows_of_table'));
  return count;
}

async function readSequences(transaction: Transaction): Promise<{ sequence: string; value: string }[]> {
  return transaction.many(
    sql`SELECT sequencename AS sequence, last_value::text AS value FROM pg_sequences
        WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename`,
  );
}

/** False where the content has been cleared away. */
async function writeContent(folder: string, hash: string, lines: Lines): Promise<boolean> {
  const path = join(folder, hash.slice(0, 2), hash);
  try {
    const { size } = await stat(path);
    await lines.write({ file: hash, size });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
  for await (const piece of createReadStream(path, { highWaterMark: pieceBytes })) {
    await lines.write({ bytes: Buffer.from(piece).toString('base64') });
  }
  return true;
}
