import type { Step, StepError, StepKind, Usage } from '../../contract/steps.ts';
import type { Database, Queryable, Transaction } from '../database/database.ts';
import { json, type Sql, sql } from '../database/sql.ts';
import { asStored } from '../database/stored-json.ts';
import { LeaseLost } from '../errors.ts';
import { eventValues, type NewEvent } from '../events/append.ts';
import type { Lease, LeaseState } from './lease.ts';

export interface NewStep {
  kind: StepKind;
  name: string;
  intent: unknown;
  snapshot?: string | null;
}

export interface StepEnd {
  status: 'done' | 'failed' | 'in_doubt';
  result?: unknown;
  error?: StepError | null;
  usage?: Usage | null;
  costMicros?: number | null;
}

/** Written in the same transaction as the step, after its lease was checked. */
export type Alongside = (transaction: Transaction, seq: number) => Promise<void>;

/**
 * The steps of one run, written under its lease. Each write locks the run's row FOR SHARE and checks the
 * token in the same statement; a claim needs that row exclusively, so a write that began under the old token
 * either commits before the new token exists, or touches no row. The steps held here are those in the
 * database: to resume is to read them.
 */
export class Journal {
  readonly steps: Step[];
  readonly #database: Database;
  readonly #lease: Lease;
  #state: LeaseState;

  private constructor(database: Database, lease: Lease, state: LeaseState, steps: Step[]) {
    this.#database = database;
    this.#lease = lease;
    this.#state = state;
    this.steps = steps;
  }

  /** Reads what has happened so far. @throws LeaseLost */
  static async open(database: Database, lease: Lease): Promise<Journal> {
    const state = await database.maybe<LeaseState>(
      sql`SELECT control, wake_count AS "wakeCount" FROM runs
          WHERE id = ${lease.runId} AND lease_token = ${lease.token} AND worker_id = ${lease.workerId}`,
    );
    if (state === undefined) throw new LeaseLost(lease.runId);
    return new Journal(database, lease, state, await readSteps(database, { runId: lease.runId }));
  }

  /** What was asked of the run, as the last write saw it. */
  get state(): LeaseState {
    return this.#state;
  }

  /** Commits that something is about to be done. @throws LeaseLost */
  async intend(step: NewStep, alongside?: Alongside): Promise<Step> {
    return this.#insert(step, 'intended', null, alongside);
  }

  /** Commits something that is done as soon as it is written. @throws LeaseLost */
  async record(step: NewStep, end: StepEnd = { status: 'done' }, alongside?: Alongside): Promise<Step> {
    return this.#insert(step, end.status, end, alongside);
  }

  /** Commits what an intended step came to. @throws LeaseLost */
  async complete(seq: number, end: StepEnd, alongside?: Alongside): Promise<Step> {
    const query = completeStatement(this.#lease, seq, end);
    const row = await this.#write<WrittenRow>('steps.complete', query, seq, alongside);
    const intent = this.steps.findLast((known) => known.seq === seq)?.intent;
    return this.#remember({ ...row, intent, result: asStored(end.result) });
  }

  async #insert(
    step: NewStep,
    status: Step['status'],
    end: StepEnd | null,
    alongside?: Alongside,
  ): Promise<Step> {
    const seq = (this.steps.at(-1)?.seq ?? 0) + 1;
    const name = status === 'intended' ? 'steps.intend' : 'steps.record';
    const query = insertStatement(this.#lease, seq, step, status, end);
    const row = await this.#write<WrittenRow>(name, query, seq, alongside);
    return this.#remember({ ...row, intent: asStored(step.intent ?? {}), result: asStored(end?.result) });
  }

  async #write<Row>(name: string, query: Sql, seq: number, alongside?: Alongside): Promise<Row> {
    const write = async (transaction: Queryable) => {
      const row = await transaction.maybe<Row>(query);
      if (row === undefined) throw new LeaseLost(this.#lease.runId);
      return row;
    };
    if (alongside === undefined) {
      const [row] = await this.#database.write<Row>(name, query);
      if (row === undefined) throw new LeaseLost(this.#lease.runId);
      return row;
    }
    return this.#database.transaction(name, async (transaction) => {
      const row = await write(transaction);
      await alongside(transaction, seq);
      return row;
    });
  }

  #remember(row: StepRow & LeaseState): Step {
    this.#state = { control: row.control, wakeCount: row.wakeCount };
    const step = presentStep(row);
    const index = this.steps.findLastIndex((known) => known.seq === step.seq);
    if (index === -1) this.steps.push(step);
    else this.steps[index] = step;
    return step;
  }
}

interface StepRow {
  run_id: string;
  seq: number;
  kind: StepKind;
  name: string;
  status: Step['status'];
  intent: unknown;
  result: unknown;
  error: StepError | null;
  usage: Usage | null;
  cost_micros: number | null;
  snapshot: string | null;
  started_at: string;
  ended_at: string | null;
}

/** What a write gives back: not the intent and the result, since they are large and were just sent. */
type WrittenRow = Omit<StepRow, 'intent' | 'result'> & LeaseState;

const writtenColumns = sql`steps.run_id, steps.seq, steps.kind, steps.name, steps.status, steps.error, steps.usage,
  steps.cost_micros, steps.snapshot, steps.started_at, steps.ended_at`;

/** Steps of a run in their order. */
export async function readSteps(
  database: Queryable,
  query: { runId: string; after?: number; limit?: number },
): Promise<Step[]> {
  const rows = await database.many<StepRow>(
    sql`SELECT * FROM steps WHERE run_id = ${query.runId} AND seq > ${query.after ?? 0}
        ORDER BY seq LIMIT ${query.limit ?? 1_000_000}`,
  );
  return rows.map(presentStep);
}

function presentStep(row: StepRow): Step {
  return {
    runId: row.run_id,
    seq: row.seq,
    kind: row.kind,
    name: row.name,
    status: row.status,
    intent: row.intent,
    result: row.result,
    error: row.error,
    usage: row.usage,
    costMicros: row.cost_micros,
    snapshot: row.snapshot,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  } as Step;
}

const held = (lease: Lease): Sql =>
  sql`held AS (SELECT id, control, wake_count FROM runs WHERE id = ${lease.runId}
        AND lease_token = ${lease.token} AND worker_id = ${lease.workerId} FOR SHARE)`;

function insertStatement(
  lease: Lease,
  seq: number,
  step: NewStep,
  status: Step['status'],
  end: StepEnd | null,
): Sql {
  const event = stepEvent(lease, status === 'intended' ? 'step.intended' : 'step.recorded', {
    seq,
    kind: step.kind,
    name: step.name,
    status,
  });
  return sql`WITH ${held(lease)}, written AS (
      INSERT INTO steps (run_id, seq, kind, name, status, lease_token, intent, result, error, usage, cost_micros,
        snapshot, started_at, ended_at)
      SELECT held.id, ${seq}::integer, ${step.kind}::text, ${step.name}::text, ${status}::text, ${lease.token}::bigint,
        ${json(step.intent ?? {})}, ${json(end?.result)}, ${json(end?.error)},
        ${json(end?.usage)}, ${end?.costMicros ?? null}::bigint, ${step.snapshot ?? null}::text,
        date_trunc('milliseconds', clock_timestamp()),
        CASE WHEN ${status === 'intended'}::boolean THEN NULL ELSE date_trunc('milliseconds', clock_timestamp()) END
      FROM held RETURNING ${writtenColumns}
    ), told AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
      SELECT ${eventValues(event)} FROM written
    )
    SELECT written.*, held.control, held.wake_count AS "wakeCount" FROM written, held`;
}

function completeStatement(lease: Lease, seq: number, end: StepEnd): Sql {
  const event = stepEvent(lease, 'step.completed', { seq, status: end.status });
  return sql`WITH ${held(lease)}, written AS (
      UPDATE steps SET status = ${end.status}::text, result = ${json(end.result)},
        error = ${json(end.error)}, usage = ${json(end.usage)},
        cost_micros = ${end.costMicros ?? null}::bigint, ended_at = date_trunc('milliseconds', clock_timestamp())
      FROM held WHERE steps.run_id = held.id AND steps.seq = ${seq}::integer AND steps.status = 'intended'
      RETURNING ${writtenColumns}
    ), told AS (
      INSERT INTO event_outbox (id, type, entity_type, entity_id, task_id, run_id, actor, data)
      SELECT ${eventValues(event)} FROM written
    )
    SELECT written.*, held.control, held.wake_count AS "wakeCount" FROM written, held`;
}

function stepEvent(lease: Lease, type: NewEvent['type'], data: Record<string, unknown>): NewEvent {
  return {
    type,
    entityType: 'run',
    entityId: lease.runId,
    runId: lease.runId,
    taskId: lease.taskId,
    actor: lease.workerId,
    data,
  };
}
