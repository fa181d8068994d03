import { AsyncLocalStorage } from 'node:async_hooks';
import type { Database, Transaction } from './database.ts';
import type { Sql } from './sql.ts';

/** What must hold in each transaction that is begun inside `TransactionGuards.run`; a rejection rolls it back. */
export interface TransactionGuard {
  begin?(transaction: Transaction): Promise<void>;
  /** Just before COMMIT. */
  end?(transaction: Transaction): Promise<void>;
}

/** Conditions of a request that its transactions must hold to, without the use cases knowing of requests. */
export class TransactionGuards {
  readonly #guards = new AsyncLocalStorage<TransactionGuard>();

  run<T>(guard: TransactionGuard, body: () => T): T {
    return this.#guards.run(guard, body);
  }

  /** For what belongs to the request and to none of its transactions. */
  outside<T>(body: () => T): T {
    return this.#guards.exit(body);
  }

  /** The same database, under the guard of whoever calls it; sessions excepted. */
  wrap(database: Database): Database {
    const guards = this.#guards;
    return {
      many: (query) => database.many(query),
      maybe: (query) => database.maybe(query),
      one: (query) => database.one(query),
      listen: (channel, onNotify) => database.listen(channel, onNotify),
      session: () => database.session(),
      close: () => database.close(),
      write<Row>(name: string, query: Sql): Promise<Row[]> {
        const guard = guards.getStore();
        if (guard === undefined) return database.write<Row>(name, query);
        return database.transaction(name, async (transaction) => {
          await guard.begin?.(transaction);
          const rows = await transaction.many<Row>(query);
          await guard.end?.(transaction);
          return rows;
        });
      },
      transaction<T>(name: string, body: (transaction: Transaction) => Promise<T>): Promise<T> {
        const guard = guards.getStore();
        if (guard === undefined) return database.transaction(name, body);
        return database.transaction(name, async (transaction) => {
          await guard.begin?.(transaction);
          const result = await body(transaction);
          await guard.end?.(transaction);
          return result;
        });
      },
    };
  }
}
