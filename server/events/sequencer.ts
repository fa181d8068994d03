import type { ChainPlace } from '../../contract/audit.ts';
import type { EventType } from '../../contract/events.ts';
import type { Database, Queryable, Session } from '../database/database.ts';
import { empty, raw, type Sql, sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { type ChainedEvent, chainHash } from './chain.ts';
import { type EventTimes, keepTimes, readTimes, timesAfter } from './times.ts';
import { readChainHead } from './verify.ts';

const sequencerLock = 4_700_001;
const batchSize = 1_000;
/** How long an event of another process may lie unnumbered. */
const pollMs = 25;
/**
 * How many times as long as a batch took its successor waits: at full speed events come in batches of many, and the
 * journal has the processor and the disk for itself most of the time; an event after a pause is numbered at once.
 */
const restFactor = 5;
const leastRestMs = 4;
const mostRestMs = 25;
const electionMs = 500;
/** A leader asks every `pollMs`; one that is silent for so long is frozen, and PostgreSQL takes the lock from it. */
const longestSilenceMs = 3_000;

/** Events after which a worker should look for due runs. */
const wakingTypes: ReadonlySet<EventType> = new Set([
  'run.queued',
  'run.woken',
  'run.released',
  'run.lease_expired',
  'run.control_requested',
  'halt.began',
  'halt.ended',
]);

interface OutboxRow extends Omit<ChainedEvent, 'sequence'> {
  position: number;
}

type Head = ChainPlace & EventTimes;

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
        while (!(await tryLock(session)) && !this.#stop.signal.aborted) await this.#pause(electionMs);
        await this.#lead(session);
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, 'the sequencer lost its connection; it tries again');
        await this.#pause(electionMs);
      }
    }
  }

  async #lead(session: Session): Promise<void> {
    await limitSilence(session);
    let head = { ...(await readChainHead(session)), ...(await readTimes(session)) };
    while (!this.#stop.signal.aborted && !session.lost.aborted) {
      const began = performance.now();
      const next = await numberBatch(session, head);
      const took = performance.now() - began;
      if (next.sequence === head.sequence) await this.#poke.wait(pollMs, this.#stop.signal);
      else if (next.sequence - head.sequence < batchSize)
        await this.#pause(clamp(took * restFactor, leastRestMs, mostRestMs));
      head = next;
    }
  }

  /** Whatever is committed meanwhile: who does not lead must not ask for the lock at each commit. */
  #pause(ms: number): Promise<void> {
    return new Signal().wait(ms, this.#stop.signal);
  }
}

/** Whether some process numbers events, as the lock that it holds tells. */
export async function isSequencerElected(database: Queryable): Promise<boolean> {
  const row = await database.one<{ elected: boolean }>(
    sql`SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0
          AND objid = ${sequencerLock} AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS elected`,
  );
  return row.elected;
}

async function tryLock(session: Session): Promise<boolean> {
  const row = await session.one<{ held: boolean }>(
    sql`SELECT pg_try_advisory_lock(${sequencerLock}) AS held`,
  );
  return row.held;
}

async function limitSilence(session: Session): Promise<void> {
  const limit = String(longestSilenceMs);
  await session.many(
    sql`SELECT set_config('idle_session_timeout', ${limit}::text, false),
          set_config('idle_in_transaction_session_timeout', ${limit}::text, false)`,
  );
}

async function numberBatch(session: Session, head: Head): Promise<Head> {
  const rows = await session.many<OutboxRow>(
    sql`SELECT position, id, type, entity_type, entity_id,
          coalesce(task_id, CASE entity_type WHEN 'task' THEN entity_id END) AS task_id,
          coalesce(run_id, CASE entity_type WHEN 'run' THEN entity_id END) AS run_id,
          actor, data, time,
          coalesce(project_id, CASE entity_type WHEN 'project' THEN entity_id END,
            (SELECT tasks.project_id FROM tasks WHERE tasks.id = coalesce(outbox.task_id,
              CASE entity_type WHEN 'task' THEN entity_id END,
              (SELECT runs.task_id FROM runs WHERE runs.id = coalesce(outbox.run_id,
                CASE entity_type WHEN 'run' THEN entity_id END))))) AS project_id
        FROM event_outbox AS outbox ORDER BY position LIMIT ${batchSize}`,
  );
  if (rows.length === 0) return head;
  let { sequence, hash } = head;
  const hashes = rows.map(({ position: _, ...row }) => {
    sequence += 1;
    hash = chainHash(hash, { ...row, sequence });
    return hash;
  });
  const times = timesAfter(head, rows);
  const grown = times.disorderMs > head.disorderMs;
  const wakes = rows.some((row) => wakingTypes.has(row.type as EventType));
  const column = (name: 'task_id' | 'run_id' | 'project_id') => rows.map((row) => row[name]);
  // What stands in the outbox is moved by PostgreSQL; only what was found out about it goes there and back.
  const [logged] = await session.write<{ moved: number }>(
    'events.number',
    sql`WITH numbered AS MATERIALIZED (
          SELECT * FROM unnest(${rows.map((row) => row.position)}::bigint[], ${hashes}::text[],
            ${column('task_id')}::text[], ${column('run_id')}::text[], ${column('project_id')}::text[])
            WITH ORDINALITY AS given (position, hash, task_id, run_id, project_id, place) LIMIT ${about(rows.length)}
        ), moved AS (
          DELETE FROM event_outbox AS outbox USING numbered WHERE outbox.position = numbered.position
          RETURNING ${head.sequence}::bigint + numbered.place AS sequence, outbox.id, outbox.type, outbox.entity_type,
            outbox.entity_id, numbered.task_id, numbered.run_id, outbox.actor, outbox.data,
            date_trunc('milliseconds', outbox.time), numbered.hash, numbered.project_id
        ), logged AS (INSERT INTO events SELECT * FROM moved RETURNING sequence)
        ${grown ? sql`, disordered AS (${keepTimes(times)})` : empty}
        SELECT count(*) AS moved, pg_notify('events', ${String(sequence)}::text),
          CASE WHEN ${wakes}::boolean THEN pg_notify('wake', '') END FROM logged`,
  );
  if (logged?.moved !== rows.length) throw new Error('somebody else numbers events at the same time');
  return { sequence, hash, ...times };
}

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

/**
 * A bound for the planner, as text of ours: a plan for any number would read all of the outbox, and one for each
 * number would be a statement of its own.
 */
const about = (rows: number): Sql => raw(String(10 ** Math.ceil(Math.log10(rows))));
