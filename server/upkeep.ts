import { join } from 'node:path';
import type { Finding } from '../contract/system.ts';
import { Notifier } from './channels/notifications/notifier.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import type { Connection } from './database/connection.ts';
import type { Database } from './database/database.ts';
import { openVault } from './domain/credentials/vault.ts';
import { countDeadLetters, deliveryTask } from './domain/notifications/deliveries.ts';
import {
  listNotifications,
  type NotificationSettings,
  resealNotifications,
} from './domain/notifications/settings.ts';
import type { EventFeed } from './events/feed.ts';
import { newId } from './ids.ts';
import { installJobs, JobRunner } from './jobs/job-runner.ts';
import type { Logger } from './log.ts';
import { identifyProcess, judgeProcess } from './runs/process-identity.ts';

export interface Upkeep {
  settings: NotificationSettings;
  notifier: Notifier;
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
    log: Logger;
    started: AsyncDisposableStack;
  },
): Promise<Upkeep> {
  const { connection, database, feed, log, started } = parts;
  let address: string | null = null;
  const vault = openVault({ given: config.vaultKey, file: join(config.home, 'vault.key') });
  await resealNotifications(database, vault);
  const settings: NotificationSettings = { vault, fixed: config.notifications };
  const publicUrl = () => config.publicUrl ?? address;
  await installJobs(connection, log);
  const notifier = new Notifier({ database, feed, clock: systemClock, log, settings, publicUrl });
  const runner = new JobRunner({
    connection,
    database,
    log,
    id: newId('wrk'),
    identity: identifyProcess(process.pid),
    isDead: (identity) => judgeProcess(identity) === 'dead',
    handlers: { [deliveryTask]: notifier.deliver },
    crontab: '',
  });
  started.use(runner);
  await runner.start();
  started.use(notifier);
  return {
    settings,
    notifier,
    diagnose: async () => [await diagnoseNotifications(database, settings)],
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
