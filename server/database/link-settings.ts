import type pg from 'pg';
import type { Connection } from './connection.ts';
import { valueTypes } from './value-types.ts';
import { within } from './waiting.ts';

export interface LinkSettings {
  connection: string | Connection;
  applicationName: string;
  /** The longest a statement, a connection attempt or an idle open transaction may take. */
  timeoutMs: number;
}

/** A process that is frozen in the middle of a transaction holds its rows, and thereby everybody, so long. */
const longestIdleMs = 5_000;

/** The driver's configuration of one connection: our value types, UTC, and a limit to every wait. */
export function clientConfig(settings: LinkSettings): pg.ClientConfig {
  const { connection, timeoutMs } = settings;
  return {
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    application_name: settings.applicationName,
    types: valueTypes,
    options: '-c TimeZone=UTC -c DateStyle=ISO',
    statement_timeout: timeoutMs,
    idle_in_transaction_session_timeout: Math.min(timeoutMs, longestIdleMs),
    connectionTimeoutMillis: timeoutMs,
    // PostgreSQL's limit answers first and keeps the connection; this one is for a server that answers nothing.
    query_timeout: timeoutMs + 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

/** Says goodbye, and cuts the connection where PostgreSQL does not part within a second. */
export async function endClient(client: pg.Client): Promise<void> {
  try {
    await within(1_000, client.end());
  } catch {
    // Only the limit can get here; the socket goes either way.
    client.connection.stream.destroy();
  }
}
