import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { expireExternalLease } from './external-lease.ts';
import { countFailure } from './lease.ts';
import { judgeProcess } from './process-identity.ts';

export interface HeldRun {
  kind: string;
  id: string;
  taskId: string;
  workerId: string;
  token: number;
  heartbeat: number;
  leaseSeconds: number;
}

interface Sighting {
  token: number;
  heartbeat: number;
  since: number;
}

/**
 * Frees the runs of holders that died. A lease is judged by its holder's heartbeat counter against this
 * process's monotonic clock: what has not moved for the lease's length is dead, whatever any wall clock
 * says. The token is raised, so that a holder that was only frozen can write nothing when it thaws.
 */
export class LeaseWatch implements AsyncDisposable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #intervalMs: number;
  readonly #stop = new AbortController();
  readonly #sightings = new Map<string, Sighting>();
  readonly #done: Promise<void>;

  constructor(options: { database: Database; clock: Clock; log: Logger; leaseSeconds: number }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#intervalMs = (options.leaseSeconds * 1000) / 5;
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const wait = new Signal();
    let looked = this.#clock.monotonic();
    while (!this.#stop.signal.aborted) {
      try {
        // Nor what stood still while this process was frozen itself, as all of a machine that sleeps is.
        const now = this.#clock.monotonic();
        if (now - looked > this.#intervalMs * 3) this.#sightings.clear();
        looked = now;
        await this.look();
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, 'leases cannot be watched now');
        // What was not seen moving while we could not look proves nothing.
        this.#sightings.clear();
      }
      await wait.wait(this.#intervalMs, this.#stop.signal);
    }
  }

  /** One look over all held runs; expires those whose holder stood still for a whole lease. */
  async look(): Promise<void> {
    const held = await readHeld(this.#database);
    const now = this.#clock.monotonic();
    const seen = new Set(held.map((run) => run.id));
    for (const id of this.#sightings.keys()) if (!seen.has(id)) this.#sightings.delete(id);
    for (const run of held) {
      const before = this.#sightings.get(run.id);
      if (before === undefined || before.token !== run.token || before.heartbeat !== run.heartbeat) {
        this.#sightings.set(run.id, { token: run.token, heartbeat: run.heartbeat, since: now });
      } else if (now - before.since >= run.leaseSeconds * 1000) {
        const expire = run.kind === 'external' ? expireExternalLease : expireLease;
        await expire(this.#database, run, this.#clock.now(), 'its worker stopped giving signs of life');
      }
    }
  }
}

/**
 * At the start of the process that owns an embedded data folder: every holder that no longer lives is known
 * to be dead, so its runs go on at once. Only processes of this machine can have held leases there; what foreign agents hold they
 * keep, as long as they give signs of life.
 */
export async function expireDeadHolders(database: Database, now: number): Promise<number> {
  const rows = await database.many<HeldRun & { process: string | null }>(
    sql`SELECT ${heldColumns}, workers.process FROM runs LEFT JOIN workers ON workers.id = runs.worker_id
        WHERE worker_id IS NOT NULL AND kind <> 'external'`,
  );
  const dead = rows.filter((run) => run.process === null || judgeProcess(run.process) !== 'alive');
  for (const run of dead) await expireLease(database, run, now, 'its worker had died');
  return dead.length;
}

const heldColumns = sql`runs.id, runs.kind, runs.task_id AS "taskId", runs.worker_id AS "workerId", runs.lease_token AS token,
  runs.heartbeat, runs.lease_seconds AS "leaseSeconds"`;

async function readHeld(database: Database): Promise<HeldRun[]> {
  return database.many<HeldRun>(sql`SELECT ${heldColumns} FROM runs WHERE worker_id IS NOT NULL`);
}

async function expireLease(database: Database, run: HeldRun, now: number, cause: string): Promise<void> {
  const at = new Date(now).toISOString();
  const waiting = {
    on: 'queue',
    ref: null,
    reason: `interrupted: ${cause}; it goes on where it was`,
    owner: 'workers',
    deadline: new Date(now + 600_000).toISOString(),
    atDeadline: 'remind',
  };
  await database.write(
    'runs.expire',
    sql`WITH expired AS (
          UPDATE runs SET status = 'queued', worker_id = NULL, lease_token = lease_token + 1,
            wake_at = ${at}::timestamptz, waiting = ${json(waiting)} ${countFailure}
          WHERE id = ${run.id} AND lease_token = ${run.token} AND heartbeat = ${run.heartbeat}
            AND worker_id IS NOT NULL
          RETURNING id, task_id, lease_token
        )
        INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
        SELECT 'evt_' || id || '_' || lease_token, 'run.lease_expired', 'run', id, task_id, id, 'control-plane',
          jsonb_build_object('worker', ${run.workerId}::text, 'cause', ${cause}::text) FROM expired`,
  );
}
