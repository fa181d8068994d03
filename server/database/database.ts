import type { Sql } from './sql.ts';

export interface Queryable {
  many<Row>(query: Sql): Promise<Row[]>;
  /** The first row, if there is one. */
  maybe<Row>(query: Sql): Promise<Row | undefined>;
  /** The first row. @throws Error where there is none: a fault of ours */
  one<Row>(query: Sql): Promise<Row>;
}

/** Inside `Database.transaction`: nothing of it is true until the body's promise settles and COMMIT returns. */
export interface Transaction extends Queryable {
  /** Called after COMMIT, never after a rollback; for waking this process's own sequencer and queue. */
  afterCommit(action: () => void): void;
}

/** One connection of its own, for session advisory locks. Ended with the connection. */
export interface Session extends Queryable {
  /** As `Database.write`. */
  write<Row>(name: string, query: Sql): Promise<Row[]>;
  transaction<T>(name: string, body: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Aborted when the connection is lost. */
  readonly lost: AbortSignal;
}

/**
 * PostgreSQL, given or embedded. bigint columns arrive as numbers, timestamptz as ISO 8601 text in UTC with
 * milliseconds, jsonb as values. Statements are prepared once a connection, by a name made from their text.
 * @throws AppError `database_unavailable` whenever the server cannot be reached or the connection breaks
 */
export interface Database extends Queryable {
  /** One writing statement that commits by itself. Crash points: `commit:<name>:before` and `:after`. */
  write<Row>(name: string, query: Sql): Promise<Row[]>;
  /** Crash points around COMMIT; a deadlock or serialization failure runs the body again, three times at most. */
  transaction<T>(name: string, body: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * Hears NOTIFY on a channel until disposed; reconnects by itself and then calls `onNotify('')`, since
   * something may have been missed. All channels share one connection.
   */
  listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable>;
  /** Opens a connection of its own. */
  session(): Promise<Session & AsyncDisposable>;
  close(): Promise<void>;
}
