import { mkdir } from 'node:fs/promises';
import { registerDeveloper } from './assembly/agents.ts';
import { openAnchors } from './assembly/anchors.ts';
import { startApi } from './assembly/api.ts';
import { artifactFolder } from './assembly/artifact-folder.ts';
import { openComputer, openSandbox } from './assembly/computer.ts';
import { openConnections } from './assembly/edge.ts';
import { openConfiguredModels } from './assembly/models.ts';
import { fixedSecrets, openSecrets, withVaultKey } from './assembly/secrets.ts';
import { openStore } from './assembly/store.ts';
import { openFaults, openTelemetry } from './assembly/telemetry.ts';
import { startUpkeep } from './assembly/upkeep.ts';
import { startWatches, startWorker } from './assembly/worker.ts';
import type { Config } from './config.ts';
import { readCrashPoints } from './crash-points.ts';
import { Artifacts } from './domain/artifacts/artifacts.ts';
import { EventFeed } from './events/feed.ts';
import { LiveChannel } from './events/live.ts';
import { openLog } from './log.ts';
import { Redactor } from './redaction.ts';

export interface App extends AsyncDisposable {
  /** Where the API answers; null in a process without that role. */
  url: string | null;
  /** A one-time link to the dashboard, given at the first start on a database. */
  loginUrl: string | null;
}

/** Builds the process out of its parts and starts the chosen roles; disposing stops them in reverse. */
export async function startApp(given: Config, env: NodeJS.ProcessEnv): Promise<App> {
  await using started = new AsyncDisposableStack();
  const redactor = new Redactor();
  redactor.know(fixedSecrets(given));
  const faults = await openFaults(given, { redact: redactor.redact, started });
  const log = openLog(given.logLevel, redactor.redact, faults?.report);
  const crashPoints = readCrashPoints(env);
  await mkdir(given.home, { recursive: true, mode: 0o700 });

  const { database, guards, connection, schema } = await openStore(given, { log, crashPoints, started });
  const config = await withVaultKey(given, database, redactor);
  const feed = started.use(new EventFeed({ database, log }));
  await feed.start();
  const live = started.use(new LiveChannel({ database, log }));
  await live.start();
  const anchors = await openAnchors(config, { database, log, started });

  const { models, registry, pace } = await openConfiguredModels(config, {
    database,
    log,
    crashPoints,
    started,
  });
  const secrets = await openSecrets(config, { database, registry, redactor, log, started });
  const connections = openConnections(config, { database, log, started });
  const telemetry = await openTelemetry(config, {
    database,
    feed,
    log,
    redact: redactor.redact,
    subscribers: () => connections.size,
    started,
  });
  const sandbox = telemetry.metrics.watchSandbox(await openSandbox(config, { log, crashPoints, started }));
  const computer = await openComputer(config, sandbox);
  const artifacts = new Artifacts({ database, folder: artifactFolder(config) });
  await registerDeveloper(database, config);

  const upkeep = await startUpkeep(config, {
    connection,
    database,
    feed,
    sandbox,
    git: computer.git,
    log,
    started,
  });
  if (config.roles.includes('worker')) {
    await startWorker(config, {
      database,
      log,
      crashPoints,
      models,
      pace,
      egress: secrets.egress,
      computer,
      artifacts,
      live,
      sandbox,
      telemetry,
      room: upkeep.room,
      started,
    });
  }
  startWatches(config, { database, log, started });
  const api = config.roles.includes('api')
    ? await startApi(config, {
        database,
        anchors,
        guards,
        log,
        models,
        registry,
        secrets,
        computer,
        artifacts,
        feed,
        upkeep,
        live,
        sandbox,
        telemetry,
        connections,
        schema,
        started,
      })
    : { url: null, loginUrl: null };

  const running = started.move();
  return { ...api, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
