import type { Waiting } from '../../contract/waiting.ts';
import type { Clock } from '../clock.ts';
import type { Database, Transaction } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { AppError, LeaseLost, messageOf } from '../errors.ts';
import { appendEvents } from '../events/append.ts';
import type { Logger } from '../log.ts';
import { Signal } from '../signal.ts';
import { pauseForHalt, readHalt } from './halt.ts';
import { Journal } from './journal.ts';
import {
  type ClaimedRun,
  claimRuns,
  endRun,
  type LeaseState,
  parkRun,
  type RunEnd,
  releaseRun,
} from './lease.ts';
import { identifyProcess } from './process-identity.ts';
import { wakeBehind } from './turns.ts';

const interruptions = {
  stop: 'the run was asked to stop',
  halt: 'everything was stopped',
  shutdown: 'the worker is shutting down',
} as const;

/** Why a driver's signal was aborted: somebody stopped the run, or all of them, or this process ends. */
export class Interrupted extends Error {
  readonly why: keyof typeof interruptions;
  constructor(why: keyof typeof interruptions) {
    super(interruptions[why]);
    this.name = 'Interrupted';
    this.why = why;
  }
}

export interface DriveContext {
  run: ClaimedRun;
  journal: Journal;
  /** Aborted with Interrupted or LeaseLost: start nothing more. */
  signal: AbortSignal;
  /** What is asked of the run now. Look at every boundary between two acts. */
  control(): LeaseState['control'];
  /** True while this process drains: return `release` at the next boundary. */
  draining(): boolean;
}

export type DriveResult =
  | { kind: 'park'; waiting: Waiting; wakeAt: number | null; status: 'waiting' | 'paused' }
  | { kind: 'end'; status: RunEnd; outcome: string; settle?: (transaction: Transaction) => Promise<void> }
  | { kind: 'release' };

/** Moves a run as far as it goes. A fresh call reads the journal and goes on where the last one ended. */
export type Driver = (context: DriveContext) => Promise<DriveResult>;

interface ActiveRun {
  run: ClaimedRun;
  controller: AbortController;
  control: LeaseState['control'];
  /** It was interrupted to stop: once, since what brings it to its stopped end must not be interrupted again. */
  stopping: boolean;
  done: Promise<void>;
}

export interface WorkerOptions {
  id: string;
  database: Database;
  clock: Clock;
  log: Logger;
  /** How commands are walled in, for every view. */
  sandbox: string;
  drivers: Record<ClaimedRun['kind'], Driver>;
  /** What to do with a run that is given up after too many failures, in the transaction that ends it. */
  giveUp: (transaction: Transaction, run: ClaimedRun) => Promise<void>;
  capacity: number;
  leaseSeconds: number;
}

/** Where the news of a run is lost, it is taken a second late at the most. */
const pollMs = 900;
const mostFailures = 8;
const retryAfterFailureMs = 2_000;

/** Claims runs and drives each, detached, for as long as it moves; keeps their leases alive meanwhile. */
export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #active = new Map<string, ActiveRun>();
  readonly #news = new Signal();
  readonly #stop = new AbortController();
  #listening: AsyncDisposable | undefined;
  #claiming: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { database, id, sandbox, capacity } = this.#options;
    await database.transaction('workers.start', async (transaction) => {
      await transaction.many(
        sql`INSERT INTO workers (id, host, pid, process, sandbox, capacity)
            VALUES (${id}, ${process.env.HOSTNAME ?? 'this machine'}, ${process.pid}, ${identifyProcess(process.pid)}, ${sandbox}, ${capacity})`,
      );
      await appendEvents(transaction, [
        {
          type: 'worker.started',
          entityType: 'worker',
          entityId: id,
          actor: id,
          data: { pid: process.pid, sandbox },
        },
      ]);
    });
    this.#listening = await database.listen('wake', () => this.poke());
    this.#claiming = this.#claimLoop();
    this.#beating = this.#heartbeatLoop();
  }

  /** Something may be due: look now. */
  poke(): void {
    this.#news.raise();
  }

  /** Lets running acts finish for at most `limitMs`, then interrupts them; their runs go back to the queue. */
  async drain(limitMs: number): Promise<void> {
    this.#stop.abort();
    this.#news.raise();
    // A claim that is under way may still bring runs.
    await this.#claiming;
    const idle = Promise.all([...this.#active.values()].map((active) => active.done));
    const enough = new AbortController();
    await Promise.race([idle, this.#options.clock.sleep(limitMs, enough.signal)]);
    enough.abort();
    for (const active of this.#active.values()) active.controller.abort(new Interrupted('shutdown'));
    await idle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
    await this.#beating;
    await this.#listening?.[Symbol.asyncDispose]();
    const { database, id, log } = this.#options;
    try {
      await database.transaction('workers.stop', async (transaction) => {
        await transaction.many(sql`DELETE FROM workers WHERE id = ${id}`);
        await appendEvents(transaction, [
          { type: 'worker.stopped', entityType: 'worker', entityId: id, actor: id },
        ]);
      });
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the worker could not sign off; its row stays until it is swept');
    }
  }

  async #claimLoop(): Promise<void> {
    const { log } = this.#options;
    while (!this.#stop.signal.aborted) {
      let waitMs = pollMs;
      try {
        await this.#refreshControls();
        if (!(await this.#heedHalt())) waitMs = await this.#claimDue();
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'runs cannot be claimed now');
      }
      if (waitMs > 0) await this.#news.wait(waitMs, this.#stop.signal);
    }
  }

  /** While everything is stopped: what runs here is interrupted, and whatever came to rest since is paused too. */
  async #heedHalt(): Promise<boolean> {
    const { database, clock } = this.#options;
    if ((await readHalt(database)) === null) return false;
    for (const active of this.#active.values()) active.controller.abort(new Interrupted('halt'));
    await database.transaction('runs.halt', (transaction) => pauseForHalt(transaction, clock.now()));
    return true;
  }

  /** Claims what is due and fits. Returns how long nothing more is due: the poll at most. */
  async #claimDue(): Promise<number> {
    const { database, id, clock, capacity, leaseSeconds } = this.#options;
    const room = capacity - this.#active.size;
    if (room <= 0) return pollMs;
    const claimed = await claimRuns(database, { workerId: id, limit: room, leaseSeconds, now: clock.now() });
    for (const run of claimed) this.#drive(run);
    if (claimed.length === room) return pollMs;
    const next = await database.one<{ at: string | null }>(
      sql`SELECT min(wake_at) AS at FROM runs WHERE wake_at IS NOT NULL AND worker_id IS NULL`,
    );
    return next.at === null ? pollMs : Math.min(pollMs, Math.max(0, Date.parse(next.at) - clock.now()) + 1);
  }

  #drive(run: ClaimedRun): void {
    const controller = new AbortController();
    const active: ActiveRun = { run, controller, control: 'go', stopping: false, done: Promise.resolve() };
    this.#active.set(run.runId, active);
    active.done = this.#driveToRest(active).finally(() => {
      if (this.#active.get(run.runId) === active) this.#active.delete(run.runId);
      this.poke();
    });
  }

  async #driveToRest(active: ActiveRun): Promise<void> {
    const { log } = this.#options;
    const { run } = active;
    try {
      while (!(await this.#driveUntilStopped(active)));
    } catch (error) {
      if (error instanceof LeaseLost) {
        log.warn({ run: run.runId, token: run.token }, 'the lease was lost; nothing further is started here');
        return;
      }
      const interrupted = error instanceof Interrupted;
      const away = error instanceof AppError && error.code === 'database_unavailable';
      if (!interrupted) log.error({ run: run.runId, error }, 'a run could not be driven on');
      await this.#release(active, {
        failed: !interrupted && !away,
        cause: messageOf(error),
        signal: AbortSignal.timeout(60_000),
      });
    }
  }

  /** A run that was interrupted to stop is driven once more, here, to the end that its driver gives it. */
  async #driveUntilStopped(active: ActiveRun): Promise<boolean> {
    try {
      return await this.#driveOnce(active);
    } catch (error) {
      if (!(error instanceof Interrupted && error.why === 'stop')) throw error;
      active.controller = new AbortController();
      return false;
    }
  }

  /** True when the run has come to rest: parked, ended, or given back. */
  async #driveOnce(active: ActiveRun): Promise<boolean> {
    const { database, drivers, giveUp } = this.#options;
    const { run, controller } = active;
    const journal = await Journal.open(database, run);
    active.control = journal.state.control;
    const failures = await database.one<{ failures: number }>(
      sql`SELECT failures FROM runs WHERE id = ${run.runId}`,
    );
    if (failures.failures >= mostFailures) {
      const outcome = `given up: ${mostFailures} workers in a row failed on it without a step of progress`;
      await this.#end(run, { status: 'failed', outcome, settle: (transaction) => giveUp(transaction, run) });
      return true;
    }
    const result = await drivers[run.kind]({
      run,
      journal,
      signal: controller.signal,
      control: () => (journal.state.control === 'go' ? active.control : journal.state.control),
      draining: () => this.#stop.signal.aborted,
    });
    if (result.kind === 'release') {
      await this.#release(active, {
        failed: false,
        cause: 'the worker is shutting down',
        signal: AbortSignal.timeout(60_000),
      });
      return true;
    }
    if (result.kind === 'end') {
      await this.#end(run, result);
      return true;
    }
    return parkRun(database, run, { ...result, seenWakeCount: journal.state.wakeCount });
  }

  async #end(run: ClaimedRun, end: Omit<Extract<DriveResult, { kind: 'end' }>, 'kind'>): Promise<void> {
    const { database, clock } = this.#options;
    await endRun(database, run, {
      ...end,
      settle: async (transaction) => {
        await end.settle?.(transaction);
        await wakeBehind(transaction, { runId: run.runId, actor: run.workerId, now: clock.now() });
      },
    });
  }

  /** Gives the run back; where the database is away, until it returns or the limit is over. */
  async #release(
    active: ActiveRun,
    options: { failed: boolean; cause: string; signal: AbortSignal },
  ): Promise<void> {
    const { database, clock, log } = this.#options;
    const wakeAt = clock.now() + (options.failed ? retryAfterFailureMs : 0);
    const waiting: Waiting = {
      on: 'queue',
      ref: null,
      reason: options.cause,
      owner: 'workers',
      deadline: new Date(wakeAt + 600_000).toISOString(),
      atDeadline: 'remind',
    };
    while (!options.signal.aborted) {
      try {
        return await releaseRun(database, active.run, {
          wakeAt,
          waiting,
          failed: options.failed,
          cause: options.cause,
        });
      } catch (error) {
        log.warn({ run: active.run.runId, error: messageOf(error) }, 'a run cannot be given back now');
        await clock.sleep(500, options.signal);
      }
    }
  }

  async #heartbeatLoop(): Promise<void> {
    const { clock, log, leaseSeconds } = this.#options;
    const wait = new Signal();
    let lastSuccess = clock.monotonic();
    while (!this.#stop.signal.aborted || this.#active.size > 0) {
      const began = clock.monotonic();
      try {
        await this.#beat();
        lastSuccess = began;
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the heartbeat did not reach the database');
        // Others will judge the lease by now: act as if it were lost.
        if (clock.monotonic() - lastSuccess > leaseSeconds * 1000) this.#loseAll();
      }
      if (this.#stop.signal.aborted) await clock.sleep(50);
      else await wait.wait((leaseSeconds * 1000) / 4, this.#stop.signal);
    }
  }

  async #beat(): Promise<void> {
    const { database, id } = this.#options;
    const before = [...this.#active.values()];
    const rows = await database.write<{ id: string; token: number; control: LeaseState['control'] }>(
      'workers.heartbeat',
      sql`WITH alive AS (UPDATE workers SET heartbeat = heartbeat + 1 WHERE id = ${id})
          UPDATE runs SET heartbeat = heartbeat + 1
          WHERE worker_id = ${id} AND id = ANY(${before.map((active) => active.run.runId)}::text[])
          RETURNING id, lease_token AS token, control`,
    );
    const held = new Map(rows.map((row) => [row.id, row]));
    for (const active of before) {
      const row = held.get(active.run.runId);
      if (row?.token === active.run.token) this.#heed(active, row.control);
      else if (this.#active.get(active.run.runId) === active)
        active.controller.abort(new LeaseLost(active.run.runId));
    }
  }

  async #refreshControls(): Promise<void> {
    if (this.#active.size === 0) return;
    const rows = await this.#options.database.many<{ id: string; control: LeaseState['control'] }>(
      sql`SELECT id, control FROM runs WHERE worker_id = ${this.#options.id}`,
    );
    for (const row of rows) {
      const active = this.#active.get(row.id);
      if (active !== undefined) this.#heed(active, row.control);
    }
  }

  #heed(active: ActiveRun, control: LeaseState['control']): void {
    active.control = control;
    if (control !== 'stop' || active.stopping) return;
    active.stopping = true;
    active.controller.abort(new Interrupted('stop'));
  }

  #loseAll(): void {
    for (const active of this.#active.values()) active.controller.abort(new LeaseLost(active.run.runId));
  }
}
