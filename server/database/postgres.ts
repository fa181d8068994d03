import pg from 'pg';
import type { CrashPoints } from '../crash-points.ts';
import type { Logger } from '../log.ts';
import type { Connection } from './connection.ts';
import type { Database, Transaction } from './database.ts';
import { unavailable } from './database-errors.ts';
import { Link, StatementNames } from './link.ts';
import { clientConfig, endClient, type LinkSettings } from './link-settings.ts';
import { Notifications } from './notifications.ts';
import { openSession } from './session.ts';
import type { Sql } from './sql.ts';
import { queryableOver, runTransaction, writeOver } from './transaction.ts';
import { within } from './waiting.ts';

export interface DatabaseOptions {
  /** A URL as in `DATABASE_URL`, or the parts of one. */
  connection: string | Connection;
  /** Connections of the pool; sessions and the listening connection come on top. Default 10. */
  poolSize?: number;
  crashPoints: CrashPoints;
  log: Logger;
  /** Shown in PostgreSQL's list of activities. */
  applicationName?: string;
  /** The longest that a statement, a wait for a connection or an idle open transaction may take. Default 30 s. */
  timeoutMs?: number;
}

/**
 * Opens a PostgreSQL and makes sure that it answers. A value that is an array becomes a PostgreSQL array; JSON is
 * to be given by `json` of `sql.ts`. NUL in a text becomes the replacement character.
 *
 * Errors of constraints pass as PostgreSQL's own: see `isUniqueViolation`. A `database_unavailable` out of `write`
 * or a transaction's COMMIT leaves open whether it was committed.
 * @throws AppError `database_unavailable`
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const database = new PostgresDatabase(options);
  try {
    await database.checkAnswer();
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

class PostgresDatabase implements Database {
  readonly many: Database['many'];
  readonly maybe: Database['maybe'];
  readonly one: Database['one'];
  readonly #options: DatabaseOptions;
  readonly #settings: LinkSettings;
  readonly #pool: pg.Pool;
  readonly #links = new WeakMap<pg.PoolClient, Link>();
  readonly #inUse = new Set<pg.PoolClient>();
  readonly #names = new StatementNames();
  readonly #notifications: Notifications;
  #closed: Promise<void> | undefined;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#settings = {
      connection: options.connection,
      applicationName: options.applicationName ?? 'mission-control',
      timeoutMs: options.timeoutMs ?? 30_000,
    };
    this.#pool = new pg.Pool({ ...clientConfig(this.#settings), max: options.poolSize ?? 10 });
    // An idle connection that breaks is replaced at its next use; without a listener it would end the process.
    this.#pool.on('error', (error) => options.log.debug({ err: error }, 'an idle connection broke'));
    this.#notifications = new Notifications(this.#settings, options.log);
    const queryable = queryableOver((query) => this.#withLink((link) => link.query(query)));
    this.many = queryable.many;
    this.maybe = queryable.maybe;
    this.one = queryable.one;
  }

  async checkAnswer(): Promise<void> {
    await this.#withLink((link) => link.command('SELECT 1'));
  }

  write<Row>(name: string, query: Sql): Promise<Row[]> {
    return this.#withLink((link) => writeOver(link, this.#options, name, query));
  }

  transaction<T>(name: string, body: (transaction: Transaction) => Promise<T>): Promise<T> {
    return runTransaction((use) => this.#withLink(use), this.#options, name, body);
  }

  listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable> {
    return this.#notifications.listen(channel, onNotify);
  }

  session() {
    return openSession(this.#settings, this.#options, this.#names);
  }

  /** Lets what is under way end, for five seconds; then its connections are cut. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#notifications.close();
    const ended = this.#pool.end();
    try {
      await within(5_000, ended);
    } catch (error) {
      this.#options.log.warn({ err: error, connections: this.#inUse.size }, 'cutting the connections in use');
      await Promise.all([...this.#inUse].map((client) => endClient(client)));
    }
  }

  async #withLink<T>(use: (link: Link) => Promise<T>): Promise<T> {
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw unavailable(error);
    }
    const link = this.#links.get(client) ?? new Link(client, this.#names);
    this.#links.set(client, link);
    this.#inUse.add(client);
    const onError = (error: Error) => {
      link.broken ??= error;
    };
    client.on('error', onError);
    try {
      return await use(link);
    } finally {
      client.off('error', onError);
      this.#inUse.delete(client);
      client.release(link.broken ?? (client.getTransactionStatus() === 'I' ? undefined : true));
    }
  }
}
