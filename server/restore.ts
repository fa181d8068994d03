import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { restoreBackup } from './backup/restore-backup.ts';
import { readConfig } from './config.ts';
import { readCrashPoints } from './crash-points.ts';
import { startEmbedded } from './database/embedded.ts';
import { loadMigrations } from './database/migrate.ts';
import { openDatabase } from './database/postgres.ts';
import { AppError, messageOf } from './errors.ts';
import { openLog } from './log.ts';

const restoreLimitMs = 3_600_000;

/**
 * `mission restore FILE`: a program of its own, since the server must not run on the data meanwhile. The embedded
 * database's lock sees to that; a given one is refused unless it is empty.
 */
async function main(file: string | undefined): Promise<void> {
  if (file === undefined) throw new AppError('invalid_request', 'name the backup: mission restore FILE');
  const config = readConfig(process.env, []);
  const log = openLog('warn');
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  await using started = new AsyncDisposableStack();
  const embedded =
    config.databaseUrl === null
      ? started.use(await startEmbedded({ folder: join(config.home, 'postgres'), log }))
      : null;
  const database = await openDatabase({
    connection: embedded?.connection ?? config.databaseUrl ?? '',
    crashPoints: readCrashPoints({}),
    log,
    timeoutMs: restoreLimitMs,
  });
  started.defer(() => database.close());
  const restored = await restoreBackup(resolve(file), {
    database,
    artifacts: join(config.home, 'artifacts'),
    migrations: await loadMigrations(join(import.meta.dirname, '..', 'migrations')),
  });
  process.stdout.write(
    `Restored what was there at ${restored.createdAt}: ${restored.rows} rows, ${restored.files} files; the log holds with its ${restored.events} events.\n`,
  );
}

try {
  await main(process.argv[2]);
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
