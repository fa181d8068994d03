import { statfs } from 'node:fs/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { messageOf } from '../errors.ts';
import { countEvents, countedTypes, type EventCounts } from './count-events.ts';
import { readBudgets, readOpenTasks, readStanding } from './gauges.ts';
import type { MetricsOptions } from './metrics.ts';
import { StandingGauges } from './standing-gauges.ts';

/** What an earlier scrape found is answered again within this, however many scrape. */
const freshMs = 5_000;
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const workBuckets = [1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];

/** The registry, once somebody scrapes it. */
export class Registered implements AsyncDisposable {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #stop = new AbortController();
  readonly #requests: Histogram;
  readonly #problems: Counter;
  readonly #sandboxStarts: Counter;
  readonly #standing: StandingGauges;
  readonly #counts: EventCounts;
  readonly #following: Promise<void>;
  #refreshing: Promise<void> | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;

  constructor(options: MetricsOptions) {
    this.#options = options;
    const registers = [this.#registry];
    this.#requests = new Histogram({
      name: 'mission_http_request_duration_seconds',
      help: 'Time from a request of the API to the end of its answer; open streams are left out.',
      labelNames: ['method', 'route', 'status'],
      buckets: latencyBuckets,
      registers,
    });
    this.#problems = new Counter({
      name: 'mission_http_problems_total',
      help: 'Requests that were answered with a problem, by its code.',
      labelNames: ['code'],
      registers,
    });
    this.#sandboxStarts = new Counter({
      name: 'mission_sandbox_starts_total',
      help: 'Commands that this process has run in a sandbox, by how they ended.',
      labelNames: ['end'],
      registers,
    });
    this.#standing = new StandingGauges(registers);
    this.#counts = defineCounts(registers);
    new Gauge({
      name: 'mission_build_info',
      help: 'Always 1; the release as its label.',
      labelNames: ['version'],
      registers,
    }).set({ version: options.version }, 1);
    collectDefaultMetrics({ register: this.#registry });
    this.#following = this.#follow(options.feed.head);
  }

  /** @param seconds until the answer had gone out */
  countRequest(request: { method: string; route: string; status: number; seconds: number }): void {
    const { seconds, ...labels } = request;
    this.#requests.observe(labels, seconds);
  }

  countProblem(code: string): void {
    this.#problems.inc({ code });
  }

  /** @param end how a command in a sandbox ended */
  countCommand(end: string): void {
    this.#sandboxStarts.inc({ end });
  }

  /** All of it as text. Answers without the database too, and says then that it is away. */
  async scrape(): Promise<{ type: string; text: string }> {
    if (this.#options.now() - this.#refreshedAt >= freshMs) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshing = undefined;
        this.#refreshedAt = this.#options.now();
      });
      await this.#refreshing;
    }
    this.#standing.subscribers.set(this.#options.subscribers());
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#following;
    this.#registry.clear();
  }

  async #refresh(): Promise<void> {
    const { database, home, log } = this.#options;
    const disk = await statfs(home);
    this.#standing.disk.set(disk.bavail * disk.bsize);
    try {
      const standing = await readStanding(database);
      const tasks = await readOpenTasks(database);
      const budgets = await readBudgets(database);
      this.#standing.setStanding(standing);
      this.#standing.setTasks(tasks);
      this.#standing.setBudgets(budgets);
      this.#standing.database.set(1);
    } catch (error) {
      // What was true before is not told as if it still were.
      this.#standing.forget();
      this.#standing.database.set(0);
      log.warn({ error: messageOf(error) }, 'the measurements of the database cannot be read now');
    }
  }

  async #follow(after: number): Promise<void> {
    const { database, feed, log } = this.#options;
    const { signal } = this.#stop;
    for await (const events of feed.follow({ after, types: countedTypes }, signal)) {
      try {
        await countEvents(database, events, this.#counts);
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'some events were counted without how long their work took');
      }
    }
  }
}

function defineCounts(registers: Registry[]): EventCounts {
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const work = (name: string, help: string, ...labelNames: string[]) =>
    new Histogram({ name, help, labelNames, registers, buckets: workBuckets });
  const created = counter('mission_tasks_created_total', 'Tasks that were created.');
  const ended = counter('mission_tasks_ended_total', 'Tasks that came to an end, by which.', 'status');
  const tasks = work('mission_task_duration_seconds', 'From a task’s creation to its end.', 'status');
  const runs = work('mission_run_duration_seconds', 'From a run’s first claim to its end.', 'kind', 'status');
  const leases = counter('mission_leases_lost_total', 'Leases whose holder fell silent.', 'kind');
  const steps = counter(
    'mission_steps_total',
    'Model calls, tool calls and other steps that ended.',
    'status',
  );
  const begun = counter(
    'mission_steps_begun_total',
    'Steps that were begun: model calls, tool calls, checks, asks.',
    'kind',
  );
  const failures = counter('mission_step_failures_total', 'Steps that failed, by why.', 'kind', 'class');
  const exhausted = counter(
    'mission_budget_exhausted_total',
    'Calls that a spent budget kept from starting.',
  );
  const refused = counter('mission_egress_refused_total', 'Requests of agents’ commands that were refused.');
  const stopped = counter(
    'mission_egress_secrets_stopped_total',
    'Secrets that were stopped on their way out.',
  );
  const dead = counter('mission_undelivered_total', 'Messages that were given up.', 'channel');
  const late = counter(
    'mission_waits_overdue_total',
    'Waits that passed their deadline without an end.',
    'entity',
  );
  for (const plain of [created, exhausted, refused, stopped]) plain.inc(0);
  // What an alert watches is there before it happens: a series that begins with 1 has not risen.
  for (const why of ['no_credit', 'authentication']) failures.inc({ kind: 'model', class: why }, 0);
  for (const kind of ['run', 'task']) leases.inc({ kind }, 0);
  for (const status of ['completed', 'failed', 'cancelled']) ended.inc({ status }, 0);
  for (const channel of ['webhook', 'notification']) dead.inc({ channel }, 0);
  for (const entity of ['run', 'task']) late.inc({ entity }, 0);
  return {
    tasksCreated: () => created.inc(),
    taskEnded(status, seconds) {
      ended.inc({ status });
      if (seconds !== null) tasks.observe({ status }, seconds);
    },
    runEnded(kind, status, seconds) {
      runs.observe({ kind, status }, seconds ?? 0);
    },
    leaseLost: (kind) => leases.inc({ kind }),
    stepBegun: (kind) => begun.inc({ kind }),
    stepEnded: (status) => steps.inc({ status }),
    stepFailed: (kind, errorClass) => failures.inc({ kind, class: errorClass }),
    budgetExhausted: () => exhausted.inc(),
    egressRefused: () => refused.inc(),
    secretStopped: () => stopped.inc(),
    undelivered: (channel) => dead.inc({ channel }),
    overdue: (entity) => late.inc({ entity }),
  };
}
