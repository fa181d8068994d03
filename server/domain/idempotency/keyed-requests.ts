import { randomBytes } from 'node:crypto';
import type { Database, Session, Transaction } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';

/** What makes two requests the same one. */
export interface RequestKey {
  principalId: string;
  key: string;
  method: string;
  /** With its query. */
  path: string;
  /** SHA-256 of what was sent. */
  fingerprint: Buffer;
}

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  /** Null where the answer held a secret, of which no copy is kept. */
  body: string | null;
}

/** The right of this process to answer one keyed request. */
export interface Attempt {
  request: RequestKey;
  holder: number;
  attempt: number;
}

interface Row {
  fingerprint: Buffer;
  holder: number;
  attempt: number;
  acted: boolean;
  status: number | null;
  headers: Record<string, string>;
  body: string | null;
  now: string;
}

/**
 * Requests with an Idempotency-Key, answered once. The row stands before the request acts. A transaction of the
 * request marks the row under the attempt's number, so that what happened and that it happened are one commit.
 * Each process holds an advisory lock for as long as it lives: a row whose holder's lock is free was left by one
 * that died. Unmarked, it is taken over under the next number, and the dead one's transactions, if it lives after
 * all, find the number gone; marked, the effect is there and only its answer is lost, which is said.
 */
export class KeyedRequests implements AsyncDisposable {
  readonly #database: Database;
  readonly #holder = randomBytes(6).readUIntBE(0, 6);
  #session: Promise<Session & AsyncDisposable> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @returns the attempt to make, or the answer that the same request got before
   * @throws AppError unprocessable (another body), request_in_flight, answer_lost
   */
  async begin(request: RequestKey): Promise<{ attempt: Attempt } | { answer: KeptAnswer }> {
    await this.#beKnownAlive();
    const { principalId, key, method, path, fingerprint } = request;
    const [inserted] = await this.#database.write<{ attempt: number }>(
      'idempotency.begin',
      sql`WITH aged AS (
            DELETE FROM idempotency_keys WHERE ctid IN (
              SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
              ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED)
          )
          INSERT INTO idempotency_keys (principal_id, key, method, path, fingerprint, holder)
          VALUES (${principalId}, ${key}, ${method}, ${path}, ${fingerprint}, ${this.#holder})
          ON CONFLICT DO NOTHING RETURNING attempt`,
    );
    if (inserted !== undefined)
      return { attempt: { request, holder: this.#holder, attempt: inserted.attempt } };
    return this.#database.transaction('idempotency.repeat', (transaction) =>
      this.#repeat(transaction, request),
    );
  }

  /** To be called in every transaction of the request. @throws AppError conflict where another took over */
  async mark(transaction: Transaction, attempt: Attempt): Promise<void> {
    const marked = await transaction.maybe(
      sql`UPDATE idempotency_keys SET acted = true WHERE ${isRow(attempt.request)}
          AND holder = ${attempt.holder} AND attempt = ${attempt.attempt} RETURNING key`,
    );
    if (marked === undefined)
      throw new AppError('conflict', 'The same request is carried out elsewhere; send it again.');
  }

  /** Keeps the answer; one of a failure that changed nothing is forgotten, so that the request can be tried again. */
  async finish(attempt: Attempt, answer: KeptAnswer): Promise<void> {
    const mine = sql`${isRow(attempt.request)} AND holder = ${attempt.holder} AND attempt = ${attempt.attempt}`;
    const passing = answer.status >= 500 || answer.status === 429 || answer.status === 401;
    if (passing) {
      await this.#database.write(
        'idempotency.forget',
        sql`DELETE FROM idempotency_keys WHERE ${mine} AND NOT acted`,
      );
    }
    await this.#database.write(
      'idempotency.finish',
      sql`UPDATE idempotency_keys SET status = ${answer.status}, headers = ${json(answer.headers)},
            body = ${answer.body} WHERE ${mine}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await (await session)[Symbol.asyncDispose]();
  }

  async #repeat(
    transaction: Transaction,
    request: RequestKey,
  ): Promise<{ attempt: Attempt } | { answer: KeptAnswer }> {
    const row = await transaction.maybe<Row>(
      sql`SELECT fingerprint, holder, attempt, acted, status, headers, body FROM idempotency_keys
          WHERE ${isRow(request)} FOR UPDATE`,
    );
    // It was forgotten at this very moment: whoever asks once more begins anew.
    if (row === undefined) throw inFlight();
    if (!row.fingerprint.equals(request.fingerprint)) {
      throw new AppError(
        'unprocessable',
        'This Idempotency-Key came before with another body: take a new key for a new request.',
      );
    }
    if (row.status !== null) return { answer: { status: row.status, headers: row.headers, body: row.body } };
    const { free } = await transaction.one<{ free: boolean }>(
      sql`SELECT pg_try_advisory_xact_lock(${row.holder}) AS free`,
    );
    if (row.holder === this.#holder || !free) throw inFlight();
    if (row.acted) {
      throw new AppError(
        'answer_lost',
        'The request was carried out, once, and its answer was lost when the server died: read what there is, and do not send it under a new key before you have.',
      );
    }
    const taken = await transaction.one<{ attempt: number }>(
      sql`UPDATE idempotency_keys SET holder = ${this.#holder}, attempt = attempt + 1 WHERE ${isRow(request)}
          RETURNING attempt`,
    );
    return { attempt: { request, holder: this.#holder, attempt: taken.attempt } };
  }

  /** Holds this process's lock, on a connection of its own that is opened again when it broke. */
  async #beKnownAlive(): Promise<void> {
    const known = await this.#session;
    if (known !== undefined && !known.lost.aborted) return;
    this.#session = this.#lock();
    try {
      await this.#session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  async #lock(): Promise<Session & AsyncDisposable> {
    const session = await this.#database.session();
    await session.many(sql`SELECT pg_advisory_lock(${this.#holder})`);
    return session;
  }
}

const isRow = ({ principalId, key, method, path }: RequestKey) =>
  sql`principal_id = ${principalId} AND key = ${key} AND method = ${method} AND path = ${path}`;

function inFlight(): AppError {
  return new AppError(
    'request_in_flight',
    'The same request is being carried out: ask again in a second, under the same Idempotency-Key.',
    { detail: { retryAfterSeconds: 1 } },
  );
}
