import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { CrashPoints } from '../crash-points.ts';
import { withCommitHook } from '../database/commit-hook.ts';
import type { Connection } from '../database/connection.ts';
import type { Database } from '../database/database.ts';
import { type EmbeddedPostgres, findEmbedded, startEmbedded } from '../database/embedded.ts';
import { loadMigrations, migrate } from '../database/migrate.ts';
import { openDatabase } from '../database/postgres.ts';
import { TransactionGuards } from '../database/transaction-guards.ts';
import { AppError } from '../errors.ts';
import { Sequencer } from '../events/sequencer.ts';
import type { Logger } from '../log.ts';
import { expireDeadHolders } from '../runs/lease-watch.ts';
import type { Base } from './base.ts';

export interface Store {
  database: Database;
  guards: TransactionGuards;
  connection: string | Connection;
  /** The number of the newest migration that this server knows. */
  schema: number;
}

/** The database with its sequencer: given by URL, or embedded and then ours alone to migrate and to clean up. */
export async function openStore(
  config: Config,
  /** `onWait` is called when there is nothing to do but wait for PostgreSQL. */
  base: Base & { crashPoints: CrashPoints; onWait: () => void },
): Promise<Store> {
  const { log, crashPoints, onWait, started } = base;
  if (config.databaseUrl !== null) onWait();
  const embedded = config.databaseUrl === null ? started.use(await openEmbedded(config, base)) : null;
  const connection = embedded?.connection ?? config.databaseUrl ?? '';
  const plain = await openDatabase({ connection, crashPoints, log });
  started.defer(() => plain.close());
  const migrations = await loadMigrations(join(import.meta.dirname, '..', '..', 'migrations'));
  if (embedded?.kind !== 'guest') await migrate(plain, migrations);
  if (embedded?.kind === 'owner') {
    const expired = await expireDeadHolders(plain, systemClock.now());
    if (expired > 0) log.info({ runs: expired }, 'runs of a process that died go on');
  }
  const sequencer = started.use(new Sequencer({ database: plain, log }));
  const guards = new TransactionGuards();
  return {
    database: guards.wrap(withCommitHook(plain, () => sequencer.poke())),
    guards,
    connection,
    schema: migrations.at(-1)?.number ?? 0,
  };
}

async function openEmbedded(
  config: Config,
  { log, onWait }: { log: Logger; onWait: () => void },
): Promise<EmbeddedPostgres> {
  const folder = join(config.home, 'postgres');
  if (config.roles.includes('api')) return startEmbedded({ folder, log, onWait });
  const found = await findEmbedded({ folder });
  if (found === undefined) {
    throw new AppError(
      'database_unavailable',
      `no server owns ${folder}: start one (mission up), or give DATABASE_URL`,
    );
  }
  return found;
}
