import type { App } from '../app.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { Config } from '../config.ts';
import type { CrashPoints } from '../crash-points.ts';
import { Artifacts } from '../domain/artifacts/artifacts.ts';
import { EventFeed } from '../events/feed.ts';
import { LiveChannel } from '../events/live.ts';
import type { Redactor } from '../redaction.ts';
import { registerDeveloper } from './agents.ts';
import { openAnchors } from './anchors.ts';
import { startApi } from './api.ts';
import { artifactFolder } from './artifact-folder.ts';
import type { Base } from './base.ts';
import { openComputer } from './computer.ts';
import { openConnections } from './edge.ts';
import { openConfiguredModels } from './models.ts';
import { startProbes } from './probes.ts';
import { openSecrets, withVaultKey } from './secrets.ts';
import type { Store } from './store.ts';
import { openTelemetry } from './telemetry.ts';
import { startUpkeep } from './upkeep.ts';
import { startWatches, startWorker } from './worker.ts';

export type Ground = Base & { redactor: Redactor; crashPoints: CrashPoints; store: Store; sandbox: Sandbox };

/** Everything that stands on the database and the sandbox. */
export async function startHouse(given: Config, ground: Ground): Promise<Pick<App, 'url' | 'loginUrl'>> {
  const { log, redactor, crashPoints, store, started } = ground;
  const { database, guards, connection, schema } = store;
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
  const sandbox = telemetry.trace.sandbox(telemetry.metrics.watchSandbox(ground.sandbox));
  const computer = telemetry.trace.computer(await openComputer(config, sandbox));
  const artifacts = new Artifacts({ database, folder: artifactFolder(config) });
  await registerDeveloper(database, config);

  const upkeep = await startUpkeep(config, {
    connection,
    database,
    feed,
    sandbox,
    git: computer.git,
    log,
    traceFetch: telemetry.trace.fetch,
    started,
  });
  if (!config.roles.includes('api')) await startProbes(config, { database, log, telemetry, schema, started });
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
  return config.roles.includes('api')
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
}
