import { systemClock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { Config } from '../config.ts';
import type { CrashPoints } from '../crash-points.ts';
import type { Database } from '../database/database.ts';
import { noticeSilence } from '../domain/agents/presence.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import { expireAsk } from '../domain/asks/asks.ts';
import type { Pace } from '../domain/credentials/pace.ts';
import { remindOfRun } from '../domain/runs/runs.ts';
import { endTaskWait } from '../domain/tasks/standing.ts';
import { setTaskStatus } from '../domain/tasks/tasks.ts';
import { tellOverdue } from '../domain/tasks/waits.ts';
import { type RoomOptions, withRoom } from '../drivers/disk-room.ts';
import type { Egress } from '../drivers/egress.ts';
import { openMergeDriver } from '../drivers/merge-driver.ts';
import type { Computer, DriverParts } from '../drivers/parts.ts';
import { openPushDriver } from '../drivers/push-driver.ts';
import { closeUp } from '../drivers/rest.ts';
import { openRevertDriver } from '../drivers/revert-driver.ts';
import { openTaskDriver } from '../drivers/task-driver.ts';
import type { LiveChannel } from '../events/live.ts';
import { newId } from '../ids.ts';
import type { ModelCatalogue } from '../models/models.ts';
import { LeaseWatch } from '../runs/lease-watch.ts';
import { Timers } from '../runs/timers.ts';
import { type Driver, Worker } from '../runs/worker.ts';
import { builtinTools } from '../tools/catalogue.ts';
import type { Base } from './base.ts';
import type { Telemetry } from './telemetry.ts';

const owner = 'owner';

export type WorkerBase = Base & {
  database: Database;
  crashPoints: CrashPoints;
  models: ModelCatalogue;
  pace: Pace;
  egress: Egress;
  room: RoomOptions;
  computer: Computer;
  artifacts: Artifacts;
  live: LiveChannel;
  sandbox: Sandbox;
  telemetry: Telemetry;
};

export async function startWorker(config: Config, base: WorkerBase): Promise<void> {
  const { database, log, started } = base;
  const { trace } = base.telemetry;
  const drive = (driver: Driver) => trace.driver(withRoom(base.room, driver));
  const parts: DriverParts = {
    ...base,
    clock: systemClock,
    models: trace.models(base.models),
    tools: trace.tools(builtinTools()),
    settings: { ...config, owner },
  };
  const worker = new Worker({
    id: newId('wrk'),
    database,
    clock: systemClock,
    log,
    sandbox: base.sandbox.kind,
    drivers: {
      task: drive(openTaskDriver(parts)),
      merge: drive(openMergeDriver(parts)),
      revert: drive(openRevertDriver(parts)),
      push: drive(openPushDriver(parts)),
    },
    capacity: config.capacity,
    leaseSeconds: config.leaseSeconds,
    giveUp: async (transaction, run) => {
      await closeUp(transaction, run.runId, 'given up');
      if (run.kind !== 'task') return;
      const reason = 'its run was given up';
      await setTaskStatus(transaction, {
        taskId: run.taskId,
        status: 'failed',
        waiting: null,
        actor: 'control-plane',
        reason,
      });
    },
  });
  started.use(worker);
  await worker.start();
  started.defer(() => worker.drain(drainMs));
}

const drainMs = 10_000;

export function startWatches(config: Config, base: Base & { database: Database }): void {
  const { database, log, started } = base;
  started.use(new LeaseWatch({ database, clock: systemClock, log, leaseSeconds: config.leaseSeconds }));
  const now = () => systemClock.now();
  started.use(
    new Timers({
      database,
      clock: systemClock,
      log,
      handlers: {
        'ask.deadline': (transaction, id) => expireAsk(transaction, id, now()),
        'run.reminder': (transaction, id) => remindOfRun(transaction, id, now()),
        'agent.silence': (transaction, id) => noticeSilence(transaction, id, now()),
        'task.deadline': tellOverdue,
        'task.reminder': (transaction, id) => endTaskWait(transaction, id, now()),
      },
    }),
  );
}
