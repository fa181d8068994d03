import pg from 'pg';
import type { Session } from './database.ts';
import { unavailable } from './database-errors.ts';
import { Link, type StatementNames } from './link.ts';
import { clientConfig, endClient, type LinkSettings } from './link-settings.ts';
import { queryableOver, runTransaction, type TransactionContext, writeOver } from './transaction.ts';

/** A connection outside the pool, for advisory locks that live as long as it does. */
export async function openSession(
  settings: LinkSettings,
  context: TransactionContext,
  names: StatementNames,
): Promise<Session & AsyncDisposable> {
  const client = new pg.Client(clientConfig(settings));
  const link = new Link(client, names);
  const lost = new AbortController();
  const lose = (error: Error) => {
    link.broken ??= error;
    lost.abort(unavailable(error));
  };
  client.on('error', lose);
  client.on('end', () => lose(new Error('the connection ended')));
  try {
    await client.connect();
  } catch (error) {
    await endClient(client);
    throw unavailable(error);
  }

  /** A statement without an answer leaves the connection in an unknown state, so that it counts as lost. */
  const use = async <T>(run: (link: Link) => Promise<T>): Promise<T> => {
    try {
      return await run(link);
    } finally {
      if (link.broken && !lost.signal.aborted) {
        lose(link.broken);
        await endClient(client);
      }
    }
  };
  return {
    ...queryableOver((query) => use((own) => own.query(query))),
    write: (name, query) => use((own) => writeOver(own, context, name, query)),
    transaction: (name, body) => runTransaction(use, context, name, body),
    lost: lost.signal,
    [Symbol.asyncDispose]: () => endClient(client),
  };
}
