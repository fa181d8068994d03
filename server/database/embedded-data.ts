import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { syncFolder } from './connection-file.ts';
import type { Binaries } from './embedded-binaries.ts';
import { asIdentity, handOver, type Identity } from './embedded-identity.ts';
import { errorCode } from './error-code.ts';
import { run } from './run-program.ts';

export const superuser = 'mission';

/**
 * PostgreSQL's settings. Small memory for one machine's server: PostgreSQL's worker processes that are of no use
 * here (replication, asynchronous I/O) are not started; WAL is kept only for crash recovery.
 */
export const settings: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: '32MB',
  work_mem: '4MB',
  maintenance_work_mem: '32MB',
  io_method: 'sync',
  jit: 'off',
  // Disks without moving parts: what is looked up by an index is not passed over for a scan of the whole table.
  random_page_cost: '1.1',
  huge_pages: 'off',
  max_worker_processes: '4',
  max_parallel_workers: '2',
  max_parallel_workers_per_gather: '1',
  max_logical_replication_workers: '0',
  autovacuum_max_workers: '2',
  wal_level: 'minimal',
  max_wal_senders: '0',
  min_wal_size: '64MB',
  max_wal_size: '512MB',
  log_checkpoints: 'off',
  // Failed statements are reported to who sent them; in the log they would only be volume.
  log_min_messages: 'log',
  log_line_prefix: '%m [%p] ',
  log_timezone: 'UTC',
  timezone: 'UTC',
  datestyle: 'ISO, MDY',
};

export interface DataPlace {
  data: string;
  binaries: Binaries;
  identity: Identity;
  /** Called when there is nothing to do but wait for initdb. */
  onWait: (() => void) | undefined;
}

/**
 * Makes the data folder where there is none. It is made under another name and renamed when it is whole and on
 * disk, so that a kill leaves nothing half done. The caller holds the folder's lock.
 * @returns whether it was made
 * @throws AppError `database_unavailable` saying what to do; `newer_database` for another major version's data
 */
export async function ensureData(place: DataPlace, password: string): Promise<boolean> {
  const { data, binaries, identity } = place;
  const version = await versionOf(data);
  if (version === undefined) {
    await initialize(place, password);
    return true;
  }
  if (version !== binaries.major) {
    throw new AppError(
      'newer_database',
      `${data} was made by PostgreSQL ${version}, and this is PostgreSQL ${binaries.major}: ` +
        'export it with the version of Mission Control that made it, and import the export here',
    );
  }
  const { uid } = await stat(data);
  if (identity === 'self' && uid !== process.getuid?.()) {
    throw new AppError(
      'database_unavailable',
      `${data} belongs to the user with id ${uid}: start as that user, or give the folder to this one (chown -R)`,
    );
  }
  await handOver(identity, [data]);
  return false;
}

async function versionOf(data: string): Promise<string | undefined> {
  try {
    return (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function initialize({ data, binaries, identity, onWait }: DataPlace, password: string): Promise<void> {
  await removeUnfinished(dirname(data));
  // A name of its own, because an initdb whose parent was killed may still be writing into its folder.
  const unfinished = await mkdtemp(join(dirname(data), unfinishedPrefix));
  const passwordFile = `${unfinished}.password`;
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    await handOver(identity, [unfinished, passwordFile]);
    const making = run(
      asIdentity(identity, [
        binaries.initdb,
        `--pgdata=${unfinished}`,
        `--username=${superuser}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--data-checksums',
      ]),
      { env: binaries.env, timeoutMs: 120_000 },
    );
    onWait?.();
    const { exitCode, output } = await making;
    if (exitCode !== 0) throw explainFailure('PostgreSQL could not make its data folder', output);
    await rename(unfinished, data);
    await syncFolder(dirname(data));
  } finally {
    await rm(passwordFile, { force: true });
    await rm(unfinished, { recursive: true, force: true });
  }
}

const unfinishedPrefix = 'unfinished-';

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(unfinishedPrefix)) continue;
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/** Sets the password anew where the file that held it is lost: whoever owns the data folder may. */
export async function resetPassword(
  data: string,
  binaries: Binaries,
  identity: Identity,
  password: string,
): Promise<void> {
  const { exitCode, output } = await run(
    asIdentity(identity, [binaries.postgres, '--single', '-D', data, '-j', 'postgres']),
    { env: binaries.env, input: `ALTER ROLE ${superuser} PASSWORD '${password}';\n\n` },
  );
  if (exitCode !== 0 || /ERROR:/.test(output)) {
    throw explainFailure('the password of the database could not be set', output);
  }
}

/** An error that says what to do, from what PostgreSQL's programs wrote before they failed. */
export function explainFailure(what: string, output: string): AppError {
  const advice = advices.find(([symptom]) => symptom.test(output))?.[1];
  const lines = output.trim().split('\n').slice(-12).join('\n');
  return new AppError('database_unavailable', `${what}${advice ? `: ${advice}` : ''}\n${lines}`, {
    detail: { output: lines },
  });
}

const advices: readonly (readonly [RegExp, string])[] = [
  [/failed to execute|ENOENT/, 'a program is missing; run npm ci, or set DATABASE_URL to another PostgreSQL'],
  [/No space left on device|Disk quota exceeded/, 'the disk is full; free some space and start again'],
  [/Read-only file system/, 'the file system is read-only'],
  [
    /cannot open shared object file|version `GLIBC/,
    'a library is missing; run npm ci, or set DATABASE_URL to another PostgreSQL',
  ],
  [/could not (create|resize|open) shared memory/, 'shared memory is too small; enlarge /dev/shm'],
  [/Cannot allocate memory/, 'the machine has too little free memory'],
  [
    /Permission denied|Operation not permitted/,
    'a permission is missing; give the folder to the user that starts it',
  ],
];

/** The arguments of a PostgreSQL that works on `data` and listens in the folder `socket` alone. */
export function postgresArguments(
  data: string,
  socket: string,
  port: number,
  overrides: Record<string, string>,
) {
  const all = { ...settings, ...overrides, unix_socket_directories: socket, port: String(port) };
  return ['-D', data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}
