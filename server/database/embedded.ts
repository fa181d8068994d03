import { randomBytes } from 'node:crypto';
import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Connection } from './connection.ts';
import {
  type ConnectionFile,
  connectionOf,
  readConnectionFile,
  writeConnectionFile,
} from './connection-file.ts';
import { lockFile } from './data-lock.ts';
import { locatePackage, prepareBinaries } from './embedded-binaries.ts';
import { ensureData, resetPassword, superuser } from './embedded-data.ts';
import { chooseIdentity, handOver, type Identity, openTheWay } from './embedded-identity.ts';
import { bringDown, bringUp, logTail, type Plan, type Running } from './embedded-server.ts';
import { errorCode } from './error-code.ts';
import { isAlive } from './postmaster.ts';
import { chooseSocketFolder } from './socket-folder.ts';
import { sleepJittered } from './waiting.ts';

interface EmbeddedOptions {
  /** The folder of the database and of all that belongs to it; made where it is not there. */
  folder: string;
  log: Logger;
  /** Called each time PostgreSQL had died and is up again. */
  onRestart?: () => void;
  /** Called each time one of PostgreSQL's programs was started and there is nothing to do but wait for it. */
  onWait?: () => void;
  /** Settings of PostgreSQL besides the usual ones. */
  settings?: Record<string, string>;
  /** PostgreSQL ends when this process dies, instead of waiting to be adopted; for tests. */
  endsWithUs?: boolean;
  /** As whom PostgreSQL runs; found out where it is not given. */
  identity?: Identity;
  /** The npm package with the binaries; the installed one where it is not given. */
  packageFolder?: string;
}

/** A PostgreSQL of our own. Disposing of it stops it if it is the owner's, and does nothing if it is a guest's. */
export interface EmbeddedPostgres extends AsyncDisposable {
  readonly kind: 'owner' | 'guest';
  readonly connection: Connection;
}

/**
 * Starts PostgreSQL on a data folder, or adopts the one that an owner who died left running, and keeps it running:
 * if it dies it is started again, at first at once, after five failures within a minute slowly. A folder has one
 * owner, by a lock that ends with the owner's process.
 * @throws AppError `data_in_use` with the owner's process id; `database_unavailable` saying what to do;
 * `newer_database` for the data of another major version
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  try {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const folder = await realpath(options.folder);
    await checkOwner(folder);
    const release = await lockFile(join(folder, 'lock'));
    try {
      const owner = new Owner(await prepare(folder, options), options, release);
      await owner.start();
      return owner;
    } catch (error) {
      release();
      throw error;
    }
  } catch (error) {
    throw explainFileError(error, options.folder);
  }
}

/**
 * The database that another living process of this machine owns; undefined where there is none.
 * @throws AppError `database_unavailable` where the folder may not be read
 */
export async function findEmbedded(options: { folder: string }): Promise<EmbeddedPostgres | undefined> {
  try {
    const file = await readConnectionFile(join(options.folder, 'connection.json'));
    if (!file || file.ownerPid === null || !isAlive(file.ownerPid)) return undefined;
    return { kind: 'guest', connection: connectionOf(file), [Symbol.asyncDispose]: async () => undefined };
  } catch (error) {
    throw explainFileError(error, options.folder);
  }
}

interface Prepared {
  folder: string;
  file: ConnectionFile;
  plan: Plan;
}

/** Everything up to the start: the binaries, who runs them, the password, the data. */
async function prepare(folder: string, options: EmbeddedOptions): Promise<Prepared> {
  const packageFolder = options.packageFolder ?? locatePackage();
  const binaries = await prepareBinaries(packageFolder, join(folder, 'libraries'));
  const identity = options.identity ?? (await chooseIdentity());
  await openTheWay(identity, folder, join(packageFolder, 'native', 'bin'));

  const earlier = await readConnectionFile(join(folder, 'connection.json'));
  const socket = await chooseSocketFolder(folder, earlier?.socket);
  await handOver(identity, [socket]);
  const password = earlier?.password ?? randomBytes(24).toString('base64url');
  const file = { socket, port: 5432, user: superuser, database: 'mission', password, ownerPid: null };
  // Before the data exists, so that no data ever exists whose password is nowhere.
  await writeConnectionFile(join(folder, 'connection.json'), file);

  const plan: Plan = {
    data: join(folder, 'data'),
    logFile: join(folder, 'postgres.log'),
    binaries,
    identity,
    connection: connectionOf(file),
    settings: options.settings ?? {},
    endsWithUs: options.endsWithUs ?? false,
    log: options.log,
    onWait: options.onWait,
  };
  const isNew = await ensureData(plan, password);
  if (!earlier && !isNew) {
    options.log.warn({ folder }, 'the file with the password of the database was lost; it is set anew');
    await bringDown(plan);
    await resetPassword(plan.data, binaries, identity, password);
  }
  return { folder, file, plan };
}

class Owner implements EmbeddedPostgres {
  readonly kind = 'owner';
  readonly connection: Connection;
  readonly #prepared: Prepared;
  readonly #options: EmbeddedOptions;
  readonly #release: () => void;
  readonly #stopping = new AbortController();
  #supervising: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #failures: number[] = [];

  constructor(prepared: Prepared, options: EmbeddedOptions, release: () => void) {
    this.connection = prepared.plan.connection;
    this.#prepared = prepared;
    this.#options = options;
    this.#release = release;
  }

  async start(): Promise<void> {
    const { folder, file, plan } = this.#prepared;
    const running = await bringUp(plan, this.#stopping.signal);
    try {
      await writeConnectionFile(join(folder, 'connection.json'), { ...file, ownerPid: process.pid });
    } catch (error) {
      await bringDown(plan);
      throw error;
    }
    this.#supervising = this.#supervise(running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { folder, file, plan } = this.#prepared;
    this.#stopping.abort();
    try {
      await bringDown(plan);
      await this.#supervising;
      // One that was just being started again, when the first was brought down.
      await bringDown(plan);
      await writeConnectionFile(join(folder, 'connection.json'), file);
      await rm(file.socket, { recursive: true, force: true });
    } finally {
      this.#release();
    }
  }

  async #supervise(first: Running): Promise<void> {
    const { signal } = this.#stopping;
    for (let running: Running | undefined = first; running; ) {
      const how = await running.gone;
      if (signal.aborted) return;
      this.#options.log.error({ pid: running.pid, how }, 'PostgreSQL died; it is started again');
      running = await this.#bringUpAgain();
    }
  }

  /** Tries until it is up. @returns undefined when stopping */
  async #bringUpAgain(): Promise<Running | undefined> {
    const { plan } = this.#prepared;
    const { log, onRestart } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#backOff();
      if (signal.aborted) break;
      try {
        const running = await bringUp(plan, signal);
        if (signal.aborted) break;
        log.info({ pid: running.pid }, 'PostgreSQL is up again');
        onRestart?.();
        return running;
      } catch (error) {
        log.error({ err: error }, 'PostgreSQL could not be started; it is tried again');
      }
    }
    return undefined;
  }

  async #backOff(): Promise<void> {
    const now = performance.now();
    this.#failures = [...this.#failures.filter((moment) => now - moment < 60_000), now];
    const count = this.#failures.length;
    if (count < 5) return count === 1 ? undefined : sleepJittered(100 * 2 ** count, this.#stopping.signal);
    this.#options.log.error(
      { failures: count, postgresLog: logTail(this.#prepared.plan.logFile) },
      'PostgreSQL keeps failing; it is tried again every 15 seconds',
    );
    await sleepJittered(15_000, this.#stopping.signal);
  }
}

/** Root could use another user's folder, but would leave files in it that the user cannot read any more. */
async function checkOwner(folder: string): Promise<void> {
  const { uid } = await stat(folder);
  if (uid === process.getuid?.()) return;
  throw new AppError(
    'database_unavailable',
    `${folder} belongs to the user with id ${uid}: start as that user, or set MISSION_HOME to a folder of your own`,
  );
}

function explainFileError(error: unknown, folder: string): unknown {
  const advice: Record<string, string> = {
    ENOSPC: 'the disk is full; free some space',
    EDQUOT: 'the disk quota is used up',
    EROFS: 'the file system is read-only',
    EACCES: 'this user may not use it',
    EPERM: 'this user may not use it',
    ENOTDIR: 'it is not a folder',
    EEXIST: 'it is not a folder',
  };
  const what = advice[errorCode(error) ?? ''];
  if (!what) return error;
  return new AppError(
    'database_unavailable',
    `the database's folder ${folder} cannot be used: ${what} (${messageOf(error)})`,
    {
      cause: error,
    },
  );
}
