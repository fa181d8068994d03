import { hostname } from 'node:os';
import { join } from 'node:path';
import type { DiskSettings } from '../../contract/disk.ts';
import type { Finding } from '../../contract/system.ts';
import { Notifier } from '../channels/notifications/notifier.ts';
import { WebhookDispatcher } from '../channels/webhooks/dispatcher.ts';
import { openGuardedFetch } from '../channels/webhooks/guarded-fetch.ts';
import { systemClock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { Git } from '../computers/workspaces/git.ts';
import type { Config } from '../config.ts';
import type { Connection } from '../database/connection.ts';
import type { Database } from '../database/database.ts';
import { openVault } from '../domain/credentials/vault.ts';
import { resealHooks } from '../domain/hooks/hooks.ts';
import { countDeadLetters, deliveryTask, requeueDeliveries } from '../domain/notifications/deliveries.ts';
import {
  listNotifications,
  type NotificationSettings,
  resealNotifications,
} from '../domain/notifications/settings.ts';
import { WebhookHosts } from '../domain/webhooks/addresses.ts';
import { requeueWebhooks, webhookTask } from '../domain/webhooks/deliveries.ts';
import { resealWebhooks, type WebhookContext } from '../domain/webhooks/webhooks.ts';
import type { RoomOptions } from '../drivers/disk-room.ts';
import { measureFolder } from '../drivers/disk-usage.ts';
import { Janitor, janitorTask } from '../drivers/janitor.ts';
import { appendEvents } from '../events/append.ts';
import type { EventFeed } from '../events/feed.ts';
import { newId } from '../ids.ts';
import { enqueueJobs } from '../jobs/enqueue.ts';
import { installJobs, JobRunner } from '../jobs/job-runner.ts';
import type { Logger } from '../log.ts';
import { openFetch } from '../models/network.ts';
import { identifyProcess, judgeProcess } from '../runs/process-identity.ts';

export interface Upkeep {
  settings: NotificationSettings;
  notifier: Notifier;
  webhooks: WebhookDispatcher;
  webhookContext: WebhookContext;
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
    git: Git;
    log: Logger;
    /** What is sent to others tells them of the trace that it is part of. */
    traceFetch: (send: typeof fetch) => typeof fetch;
    started: AsyncDisposableStack;
  },
): Promise<Upkeep> {
  const { connection, database, feed, sandbox, git, log, started } = parts;
  const { home } = config;
  let address: string | null = null;
  const vault = openVault({ given: config.vaultKey, file: join(home, 'vault.key') });
  await resealNotifications(database, vault);
  await resealWebhooks(database, vault);
  await resealHooks(database, vault);
  const settings: NotificationSettings = { vault, fixed: config.notifications };
  const publicUrl = () => config.publicUrl ?? address;
  await installJobs(connection, log);
  const notifier = new Notifier({
    database,
    feed,
    clock: systemClock,
    log,
    settings,
    publicUrl,
    fetch: openFetch(config.proxy),
  });
  const hosts = new WebhookHosts(config.webhooks.privateHosts);
  const webhooks = new WebhookDispatcher({
    database,
    feed,
    clock: systemClock,
    log,
    vault,
    fetch: parts.traceFetch(openGuardedFetch(hosts, config.proxy)),
    random: Math.random,
  });
  const janitor = new Janitor({
    home,
    database,
    sandbox,
    git,
    clock: systemClock,
    log,
    settings: config.disk,
  });
  const sweep = janitorTask(home);
  const makeRoom = () =>
    database.transaction('jobs.sweep', (transaction) =>
      enqueueJobs(transaction, [{ task: sweep, payload: {}, key: sweep, maxAttempts: 3 }]),
    );
  const tellDiskFull = tellingDiskFull(database, home);
  const runner = new JobRunner({
    connection,
    database,
    log,
    id: newId('wrk'),
    identity: identifyProcess(process.pid),
    isDead: (identity) => judgeProcess(identity) === 'dead',
    handlers: {
      [deliveryTask]: notifier.deliver,
      [webhookTask]: webhooks.deliver,
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
  await requeueWebhooks(database);
  started.use(notifier);
  started.use(webhooks);
  return {
    settings,
    notifier,
    webhooks,
    webhookContext: { database, vault, hosts, now: () => systemClock.now() },
    room: {
      home,
      minimumFreeBytes: config.disk.minimumFreeGigabytes * 1024 ** 3,
      clock: systemClock,
      onFull: async () => {
        await makeRoom();
        await tellDiskFull();
      },
    },
    diagnose: async () => [
      await diagnoseNotifications(database, settings),
      await diagnoseUse(home, config.disk),
    ],
    tellAddress: (url) => {
      address = url;
      notifier.start();
      webhooks.start();
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
  const sizes = bytes.map((size) => (size === null ? null : size / 1024 ** 3));
  const detail = names.map((name, index) => {
    const size = sizes[index];
    return `${name} ${typeof size === 'number' ? `${size.toFixed(2)} GiB` : '(too much to count now)'}`;
  });
  const over = (sizes[0] ?? 0) > settings.workspaceGigabytes || (sizes[1] ?? 0) > settings.setupGigabytes;
  return {
    name: 'disk use',
    state: over ? 'warning' : 'ok',
    detail: detail.join(', '),
    mend: over
      ? 'raise the quota under "disk" in mission.config.json, or end runs that are not needed'
      : null,
  };
}

const tellAgainMs = 3_600_000;

/** People are told at most once an hour, however many runs wait. */
function tellingDiskFull(database: Database, home: string): () => Promise<void> {
  let toldAt = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = systemClock.monotonic();
    if (now - toldAt < tellAgainMs) return;
    toldAt = now;
    await database.transaction('disk.full', (transaction) =>
      appendEvents(transaction, [
        {
          type: 'disk.full',
          entityType: 'worker',
          entityId: hostname(),
          actor: 'control-plane',
          data: { home },
        },
      ]),
    );
  };
}
