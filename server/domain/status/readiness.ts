import type { Finding } from '../../../contract/system.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { poll, within } from '../../database/waiting.ts';
import { messageOf } from '../../errors.ts';
import { isSequencerElected } from '../../events/sequencer.ts';

const answerMs = 5_000;
/** Where the process that numbered the events ended, another takes over within a second. */
const electionMs = 1_500;

/** What an answer is good for: anybody may ask, and as often as they like. */
const freshMs = 500;

/**
 * What must be true for work to go on, each by itself: the same for a probe and for `mission doctor`.
 * @param schema the number of the newest migration that this server knows
 * @param now milliseconds that only rise
 */
export function openReadiness(
  database: Database,
  schema: number,
  now: () => number,
): () => Promise<Finding[]> {
  let latest: { findings: Promise<Finding[]>; until: number } | undefined;
  return () => {
    if (latest !== undefined && now() < latest.until) return latest.findings;
    const asked = { findings: examineWithin(database, schema), until: Number.POSITIVE_INFINITY };
    latest = asked;
    return asked.findings.finally(() => {
      asked.until = now() + freshMs;
    });
  };
}

async function examineWithin(database: Database, schema: number): Promise<Finding[]> {
  try {
    return await within(answerMs, examine(database, schema));
  } catch (error) {
    return [{ name: 'database', state: 'failed', detail: messageOf(error), mend: 'mission up' }];
  }
}

async function examine(database: Database, schema: number): Promise<Finding[]> {
  const row = await database.one<{ version: string; schema: number; workers: number }>(
    sql`SELECT current_setting('server_version') AS version,
          (SELECT max(number) FROM schema_migrations) AS schema,
          (SELECT count(*)::integer FROM workers) AS workers`,
  );
  return [
    { name: 'database', state: 'ok', detail: `PostgreSQL ${row.version} answers`, mend: null },
    judgeSchema(row.schema, schema),
    (await poll(electionMs, 100, async () => (await isSequencerElected(database)) || undefined))
      ? { name: 'sequencer', state: 'ok', detail: 'events are numbered', mend: null }
      : {
          name: 'sequencer',
          state: 'failed',
          detail: 'no process numbers the events, so nobody hears of them',
          mend: 'wait for some seconds; then restart the server, which may hold its connection only by half',
        },
    row.workers > 0
      ? { name: 'workers', state: 'ok', detail: `${row.workers} at work`, mend: null }
      : {
          name: 'workers',
          state: 'failed',
          detail: 'no worker is up: runs wait in the queue',
          mend: 'mission up --roles worker',
        },
  ];
}

function judgeSchema(found: number, known: number): Finding {
  const name = 'migrations';
  if (found === known) return { name, state: 'ok', detail: `the schema is at ${found}`, mend: null };
  return found < known
    ? {
        name,
        state: 'failed',
        detail: `the schema is at ${found}, not ${known}`,
        mend: 'restart the server that owns the database',
      }
    : {
        name,
        state: 'failed',
        detail: `the schema is at ${found}, newer than ${known}`,
        mend: 'update this server',
      };
}
