import { Gauge, type Registry } from 'prom-client';
import { type BudgetGauge, mostCounted, type Standing } from './gauges.ts';

const upTo = `; counted up to ${mostCounted}`;

const told: Record<keyof Standing, [name: string, help: string]> = {
  dueRuns: ['mission_queue_depth', `Runs that are due and that no worker has taken${upTo}.`],
  oldestDueSeconds: ['mission_queue_oldest_seconds', 'How long the longest due run has waited.'],
  claimableTasks: ['mission_tasks_claimable', `Tasks that an agent may claim now${upTo}.`],
  runningRuns: ['mission_runs_running', 'Runs that a worker drives now.'],
  heldTasks: ['mission_tasks_held', 'Tasks that foreign agents hold now.'],
  workers: ['mission_workers', 'Workers that are up.'],
  workerPlaces: ['mission_worker_places', 'Runs that all workers together can drive at once.'],
  agentPlaces: ['mission_agent_places', 'Tasks that the foreign agents that are online can hold at once.'],
  openAsks: ['mission_asks_open', `Asks that wait for a person${upTo}.`],
  overdueAsks: ['mission_asks_overdue', `Open asks whose deadline has passed${upTo}.`],
  oldestOverdueSeconds: [
    'mission_asks_overdue_oldest_seconds',
    'How long the longest overdue ask is overdue.',
  ],
  unnumberedEvents: ['mission_events_unnumbered', `Events that have no number yet${upTo}.`],
  sequencerLagSeconds: ['mission_sequencer_lag_seconds', 'How long the oldest of them has waited for it.'],
  lastSequence: ['mission_events_last_sequence', 'The number of the newest event.'],
  webhookDeadLetters: ['mission_webhook_dead_letters', `Webhook deliveries that were given up${upTo}.`],
  notificationDeadLetters: ['mission_notification_dead_letters', `Notifications that were given up${upTo}.`],
  halted: ['mission_halted', '1 while everything is stopped.'],
};

/** How things stand, as gauges. */
export class StandingGauges {
  readonly database: Gauge;
  readonly disk: Gauge;
  readonly subscribers: Gauge;
  readonly #standing: [keyof Standing, Gauge][];
  readonly #tasks: Gauge;
  readonly #budgets: Record<'limit' | 'spent' | 'reserved', Gauge>;

  constructor(registers: Registry[]) {
    const gauge = (name: string, help: string, ...labelNames: string[]) =>
      new Gauge({ name, help, labelNames, registers });
    const keys = Object.keys(told) as (keyof Standing)[];
    this.#standing = keys.map((key) => [key, gauge(...told[key])]);
    this.#tasks = gauge('mission_tasks_open', `Tasks that somebody has begun, by status${upTo}.`, 'status');
    this.#budgets = {
      limit: gauge('mission_budget_limit_usd', 'What may be spent.', 'scope', 'key'),
      spent: gauge('mission_budget_spent_usd', 'What was spent.', 'scope', 'key'),
      reserved: gauge('mission_budget_reserved_usd', 'What calls under way may cost.', 'scope', 'key'),
    };
    this.database = gauge('mission_database_up', '1 where the database answered the last scrape.');
    this.disk = gauge('mission_disk_free_bytes', 'Free space where MISSION_HOME is.');
    this.subscribers = gauge('mission_event_subscribers', 'Open streams and sockets of this process.');
  }

  setStanding(standing: Standing): void {
    for (const [key, gauge] of this.#standing) gauge.set(standing[key]);
  }

  setTasks(rows: readonly { status: string; count: number }[]): void {
    for (const { status, count } of rows) this.#tasks.set({ status }, count);
  }

  /** A budget without a limit has none to tell of; one that is gone is no longer told of. */
  setBudgets(rows: readonly BudgetGauge[]): void {
    const { limit, spent, reserved } = this.#budgets;
    for (const gauge of [limit, spent, reserved]) gauge.reset();
    for (const { scope, key, limitMicros, spentMicros, reservedMicros } of rows) {
      const labels = { scope, key };
      if (limitMicros !== null) limit.set(labels, limitMicros / 1e6);
      spent.set(labels, spentMicros / 1e6);
      reserved.set(labels, reservedMicros / 1e6);
    }
  }

  /** Takes away what the database told: it may be true no longer. */
  forget(): void {
    for (const [, gauge] of this.#standing) gauge.remove();
    for (const gauge of [this.#tasks, ...Object.values(this.#budgets)]) gauge.reset();
  }
}
