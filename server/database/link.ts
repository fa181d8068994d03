import { createHash } from 'node:crypto';
import type pg from 'pg';
import { isStalePlan, isUnavailable, translateError, unavailable } from './database-errors.ts';
import { type Sql, textOf } from './sql.ts';

/** One connection to PostgreSQL. Statements run in the order given, also when given at once. */
export class Link {
  readonly client: pg.ClientBase;
  /** Set once the connection must not be used again. */
  broken: Error | undefined;
  readonly #names: StatementNames;
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: pg.ClientBase, names: StatementNames) {
    this.client = client;
    this.#names = names;
  }

  /** @throws AppError `database_unavailable`; PostgreSQL's own error where the statement is at fault */
  query<Row>(query: Sql): Promise<Row[]> {
    return this.#enqueue(async () => {
      const text = textOf(query);
      const { rows } = await this.#send({
        ...this.#names.nameOf(query, text),
        text,
        values: query.values.map(withoutNul),
      });
      return rows;
    });
  }

  /** A statement without values or rows, sent as it is. @returns its command tag, such as `COMMIT` */
  command(text: string): Promise<string> {
    return this.#enqueue(async () => (await this.#send({ text })).command);
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run, run);
    this.#last = result;
    return result;
  }

  async #send(config: pg.QueryConfig<unknown[]>) {
    if (this.broken) throw unavailable(this.broken);
    try {
      const result = await this.client.query(config);
      // Several statements in one text, as a migration has, give a list of results.
      return Array.isArray(result) ? result.at(-1) : result;
    } catch (error) {
      const translated = translateError(error);
      if (isUnavailable(translated) || isStalePlan(error)) this.broken = asError(error);
      throw translated;
    }
  }
}

/**
 * Names for prepared statements, made from their text. Texts beyond the bound stay unnamed, since each name costs
 * memory in every connection; several statements in one text cannot be prepared at all.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();
  readonly #bound: number;

  constructor(bound = 1000) {
    this.#bound = bound;
  }

  nameOf(query: Sql, text: string): { name?: string } {
    const known = this.#names.get(text);
    if (known !== undefined) return { name: known };
    if (this.#names.size >= this.#bound || (query.values.length === 0 && /;\s*\S/.test(text))) return {};
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 20);
    this.#names.set(text, name);
    return { name };
  }
}

/** PostgreSQL's text cannot hold NUL, and no caller means it. */
function withoutNul(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNul);
  return typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
