import { join } from 'node:path';
import type { DiskSettings } from '../contract/disk.ts';
import type { Finding } from '../contract/system.ts';
import { Notifier } from './channels/notifications/notifier.ts';
import { systemClock } from './clock.ts';
import type { Sandbox } from './computers/sandbox.ts';
import type { Config } from './config.ts';
import type { Connection } from './database/connection.ts';
import type { Database } from './database/database.ts';
import { openVault } from './domain/credentials/vault.ts';
import { countDeadLetters, deliveryTask, requeueDeliveries } from './domain/notifications/deliveries.ts';
import {
  listNotifications,
  type NotificationSettings,
  resealNotifications,
} from './domain/notifications/settings.ts';
import type { RoomOptions } from './drivers/disk-room.ts';
import { measureFolder } from './drivers/disk-usage.ts';
import { Janitor, janitorTask } from './drivers/janitor.ts';
import type { EventFeed } from './events/feed.ts';
import { newId } from './ids.ts';
import { enqueueJobs } from './jobs/enqueue.ts';
import { installJobs, JobRunner } from './jobs/job-runner.ts';
import type { Logger } from './log.ts';
import { identifyProcess, judgeProcess } from './runs/process-identity.ts';

export interface Upkeep {
  settings: NotificationSettings;
  notifier: Notifier;
  /** How runs wait where the disk is full. */
  room: RoomOptions;
  diagnose(): Promise<Finding[]>;
  /** Where the API answers, once that is known: what links name where no public address is set. */
  tellAddress(url: string): void;
}

/** Constructs what goes on beside the runs: the slow jobs, and telling people outside. */
export async function startUpkeep(
  config: Config,
  parts: {
    connection: string | Connection;
    database: Database;
    feed: EventFeed;
    sandbox: Sandbox;
    log: Logger;
    started: AsyncDisposableStack;
  },
): Promise<Upkeep> {
  const { connection, database, feed, sandbox, log, started } = parts;
  const { home } = config;
  let address: string | null = null;
  const vault = openVault({ given: config.vaultKey, file: join(home, 'vault.key') });
  await resealNotifications(database, vault);
  const settings: NotificationSettings = { vault, fixed: config.notifications };
  const publicUrl = () => config.publicUrl ?? address;
  await installJobs(connection, log);
  const notifier = new Notifier({ database, feed, clock: systemClock, log, settings, publicUrl });
  const janitor = new Janitor({ home, database, sandbox, clock: systemClock, log, settings: config.disk });
  const sweep = janitorTask(home);
  const makeRoom = () =>
    database.transaction('jobs.sweep', (transaction) =>
      enqueueJobs(transaction, [{ task: sweep, payload: {}, key: sweep, maxAttempts: 3 }]),
    );
  const runner = new JobRunner({
    connection,
    database,
    log,
    id: newId('wrk'),
    identity: identifyProcess(process.pid),
    isDead: (identity) => judgeProcess(identity) === 'dead',
    handlers: {
      [deliveryTask]: notifier.deliver,
      [sweep]: async (_payload, { signal }) => {
        await janitor.sweep(signal);
      },
    },
    crontab: `17 3 * * * ${sweep}`,
  });
  started.use(runner);
  await runner.start();
  await makeRoom();
  await requeueDeliveries(database);
  started.use(notifier);
  return {
    settings,
    notifier,
    room: {
      home,
      minimumFreeBytes: config.disk.minimumFreeGigabytes * 1024 ** 3,
      clock: systemClock,
      makeRoom,
    },
    diagnose: async () => [
      await diagnoseNotifications(database, settings),
      await diagnoseUse(home, config.disk),
    ],
    tellAddress: (url) => {
      address = url;
      notifier.start();
    },
  };
}

async function diagnoseNotifications(database: Database, settings: NotificationSettings): Promise<Finding> {
  const name = 'notifications';
  const { dead, names } = await countDeadLetters(database);
  if (dead > 0) {
    const detail = `${dead} of the last week could not be delivered (${names.join(', ')})`;
    return {
      name,
      state: 'warning',
      detail,
      mend: `mission notify list; mission notify test ${names[0] ?? 'NAME'}`,
    };
  }
  const set = await listNotifications(database, settings);
  if (set.length > 0) return { name, state: 'ok', detail: set.map((one) => one.name).join(', '), mend: null };
  return {
    name,
    state: 'ok',
    detail:
      'none: nobody is told outside of the dashboard; set one under "notifications" in mission.config.json',
    mend: null,
  };
}

/** What fills the disk, by kind; a warning where a kind is over its quota in spite of the sweeps. */
async function diagnoseUse(home: string, settings: DiskSettings): Promise<Finding> {
  const names = ['runs', 'setups', 'artifacts', 'repositories', 'postgres', 'temporary'];
  const bytes = await Promise.all(names.map((name) => measureFolder(join(home, name))));
  const gigabytes = (index: number) => (bytes[index] ?? 0) / 1024 ** 3;
  const detail = names.map((name, index) => `${name} ${gigabytes(index).toFixed(2)} GiB`).join(', ');
  const over = gigabytes(0) > settings.workspaceGigabytes || gigabytes(1) > settings.setupGigabytes;
  return {
    name: 'disk use',
    state: over ? 'warning' : 'ok',
    detail,
    mend: over
      ? 'raise the quota under "disk" in mission.config.json, or end runs that are not needed'
      : null,
  };
}
