import type { EventType } from '../../contract/events.ts';
import type { Database, Session } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { type ChainedEvent, chainHash, genesisHash } from './chain.ts';

const sequencerLock = 4_700_001;
const batchSize = 1_000;
/** How long an event of another process may lie unnumbered. */
const pollMs = 25;
const electionMs = 500;

/** Events after which a worker should look for due runs. */
const wakingTypes: ReadonlySet<EventType> = new Set([
  'run.queued',
  'run.woken',
  'run.released',
  'run.lease_expired',
  'run.control_requested',
]);

interface OutboxRow extends Omit<ChainedEvent, 'sequence'> {
  position: number;
}

/**
 * Numbers the committed events. The protocol:
 *
 * 1. Writers insert into event_outbox inside their own transactions and notify nobody, so no commit waits
 *    for another.
 * 2. Whoever holds one session advisory lock reads what is committed, in the order of insertion, gives it
 *    dense numbers and the hash chain, moves it into `events`, and notifies once a batch, all in one
 *    transaction of the connection that holds the lock: with the connection goes the lock and the batch.
 * 3. Events of one entity keep their order, because its row lock is held until commit: the later one is
 *    inserted after the earlier is visible, with a higher position.
 *
 * A number is thus given only to what is committed, and nothing can become visible below it later.
 */
export class Sequencer implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #poke = new Signal();
  readonly #done: Promise<void>;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#done = this.#run();
  }

  /** Something was committed in this process: number it without waiting for the poll. */
  poke(): void {
    this.#poke.raise();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await using session = await this.#database.session();
        if (await tryLock(session)) await this.#lead(session);
        else await this.#poke.wait(electionMs, this.#stop.signal);
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, 'the sequencer lost its connection; it tries again');
        await this.#poke.wait(electionMs, this.#stop.signal);
      }
    }
  }

  async #lead(session: Session): Promise<void> {
    let head = await readChainHead(session);
    while (!this.#stop.signal.aborted && !session.lost.aborted) {
      const next = await numberBatch(session, head);
      if (next.sequence === head.sequence) await this.#poke.wait(pollMs, this.#stop.signal);
      head = next;
    }
  }
}

interface ChainHead {
  sequence: number;
  hash: string;
}

async function tryLock(session: Session): Promise<boolean> {
  const row = await session.one<{ held: boolean }>(
    sql`SELECT pg_try_advisory_lock(${sequencerLock}) AS held`,
  );
  return row.held;
}

async function readChainHead(session: Session): Promise<ChainHead> {
  const row = await session.maybe<ChainHead>(
    sql`SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1`,
  );
  return row ?? { sequence: 0, hash: genesisHash };
}

async function numberBatch(session: Session, head: ChainHead): Promise<ChainHead> {
  const rows = await session.many<OutboxRow>(
    sql`SELECT * FROM event_outbox ORDER BY position LIMIT ${batchSize}`,
  );
  if (rows.length === 0) return head;
  let { sequence, hash } = head;
  const numbered = rows.map(({ position: _, ...row }) => {
    sequence += 1;
    const event = { ...row, sequence };
    hash = chainHash(hash, event);
    return { ...event, hash };
  });
  const wakes = rows.some((row) => wakingTypes.has(row.type as EventType));
  const next = { sequence, hash };
  await session.transaction('events.number', async (transaction) => {
    await transaction.many(
      sql`WITH moved AS (DELETE FROM event_outbox WHERE position = ANY(${rows.map((row) => row.position)}::bigint[]))
          INSERT INTO events
          SELECT sequence, id, type, entity_type, entity_id, task_id, run_id, actor, data, time, hash
          FROM jsonb_to_recordset(${JSON.stringify(numbered)}::jsonb) AS numbered(
            sequence bigint, id text, type text, entity_type text, entity_id text, task_id text, run_id text,
            actor text, data jsonb, time timestamptz, hash text)`,
    );
    await transaction.many(
      sql`SELECT pg_notify('events', ${String(sequence)}::text), pg_notify('wake', '') WHERE ${wakes}
          UNION ALL SELECT pg_notify('events', ${String(sequence)}::text), NULL WHERE NOT ${wakes}`,
    );
  });
  return next;
}
