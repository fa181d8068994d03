import { setTimeout as delay } from 'node:timers/promises';
import type { CrashPoints } from '../crash-points.ts';
import type { Logger } from '../log.ts';
import type { Queryable, Transaction } from './database.ts';
import { isWorthRepeating } from './database-errors.ts';
import type { Link } from './link.ts';
import type { Sql } from './sql.ts';

/** The three ways to read rows, over one way to run a statement. */
export function queryableOver(run: <Row>(query: Sql) => Promise<Row[]>): Queryable {
  return {
    many: run,
    async maybe<Row>(query: Sql) {
      const [row] = await run<Row>(query);
      return row;
    },
    async one<Row>(query: Sql) {
      const [row] = await run<Row>(query);
      if (row === undefined) throw new Error(`no row from: ${query.parts.join('$')}`);
      return row;
    },
  };
}

/** One statement that commits by itself, between its crash points. */
export async function writeOver<Row>(
  link: Link,
  { crashPoints }: TransactionContext,
  name: string,
  query: Sql,
): Promise<Row[]> {
  crashPoints.reach(`commit:${name}:before`);
  const rows = await link.query<Row>(query);
  crashPoints.reach(`commit:${name}:after`);
  return rows;
}

export interface TransactionContext {
  crashPoints: CrashPoints;
  log: Logger;
}

/** Runs one transaction, and again up to three times where PostgreSQL chose it as the victim of a conflict. */
export async function runTransaction<T>(
  withLink: (use: (link: Link) => Promise<T>) => Promise<T>,
  context: TransactionContext,
  name: string,
  body: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  for (let repeats = 0; ; repeats++) {
    try {
      return await withLink((link) => runOnce(link, context, name, body));
    } catch (error) {
      if (repeats === 3 || !isWorthRepeating(error)) throw error;
      await delay(2 ** repeats * (5 + Math.random() * 10));
    }
  }
}

async function runOnce<T>(
  link: Link,
  context: TransactionContext,
  name: string,
  body: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const actions: (() => void)[] = [];
  let open = true;
  await link.command('BEGIN');
  const queryable = queryableOver((query) => {
    if (!open) return Promise.reject(new Error(`the transaction ${name} is over`));
    return link.query(query);
  });
  let result: T;
  try {
    result = await body({ ...queryable, afterCommit: (action) => void actions.push(action) });
  } catch (error) {
    open = false;
    await rollBack(link, context.log, name);
    throw error;
  }
  open = false;
  context.crashPoints.reach(`commit:${name}:before`);
  const tag = await link.command('COMMIT');
  // PostgreSQL answers so when a statement failed and the body did not let its error through.
  if (tag !== 'COMMIT')
    throw new Error(`the transaction ${name} was rolled back: its body hid a failed statement`);
  context.crashPoints.reach(`commit:${name}:after`);
  for (const action of actions) {
    try {
      action();
    } catch (error) {
      context.log.error({ err: error, transaction: name }, 'an action after a commit failed');
    }
  }
  return result;
}

/** The body's error is what the caller must hear; a connection that cannot roll back is marked broken and closed. */
async function rollBack(link: Link, log: Logger, name: string): Promise<void> {
  try {
    await link.command('ROLLBACK');
  } catch (error) {
    log.debug({ err: error, transaction: name }, 'could not roll back; the connection is closed instead');
  }
}
