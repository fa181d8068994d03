import { rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { App } from '../app.ts';
import { openBackup } from '../backup/write-backup.ts';
import { systemClock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { TransactionGuards } from '../database/transaction-guards.ts';
import type { Actor } from '../domain/actor.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import { testModel } from '../domain/credentials/model-probe.ts';
import type { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import { KeyedRequests } from '../domain/idempotency/keyed-requests.ts';
import { issueOwnerKey } from '../domain/principals/principals.ts';
import { createLoginToken } from '../domain/principals/sessions.ts';
import { RunPresenter } from '../domain/runs/runs.ts';
import { openReadiness } from '../domain/status/readiness.ts';
import { createTask } from '../domain/tasks/tasks.ts';
import { diagnose } from '../drivers/diagnose.ts';
import type { Computer } from '../drivers/parts.ts';
import { openPolicyDesk } from '../drivers/policy-desk.ts';
import { readPreparation } from '../drivers/prepare.ts';
import { makeSample } from '../drivers/sample.ts';
import type { ChainAnchors } from '../events/anchors.ts';
import type { EventFeed } from '../events/feed.ts';
import type { LiveChannel } from '../events/live.ts';
import { listen } from '../http/listen.ts';
import type { HttpParts } from '../http/parts.ts';
import { buildHttpServer } from '../http/server.ts';
import { readVersion } from '../http/version.ts';
import type { ModelCatalogue } from '../models/models.ts';
import { prepareShortCall } from '../models/short-call.ts';
import { builtinTools } from '../tools/catalogue.ts';
import { developer } from './agents.ts';
import { diagnoseLog } from './anchors.ts';
import { artifactFolder } from './artifact-folder.ts';
import type { Base } from './base.ts';
import { openEdge } from './edge.ts';
import type { Telemetry } from './telemetry.ts';
import type { Upkeep } from './upkeep.ts';

export type ApiBase = Base & {
  database: Database;
  anchors: ChainAnchors;
  guards: TransactionGuards;
  models: ModelCatalogue;
  registry: ProviderRegistry;
  secrets: HttpParts['secrets'];
  upkeep: Upkeep;
  computer: Computer;
  artifacts: Artifacts;
  feed: EventFeed;
  live: LiveChannel;
  sandbox: Sandbox;
  telemetry: Telemetry;
  connections: HttpParts['connections'];
  /** The number of the newest migration. */
  schema: number;
};

export async function startApi(config: Config, base: ApiBase): Promise<Pick<App, 'url' | 'loginUrl'>> {
  const { database, models, registry, computer, upkeep, started } = base;
  const stopping = new AbortController();
  const present = new RunPresenter((model) => models.describe(model));
  const defaults = { ...config, agent: developer };
  const now = () => systemClock.now();
  const prepare = (model: string) => prepareShortCall(models, model);
  const test = (actor: Actor, model: string) =>
    testModel({ database, dayLimitMicros: config.dayLimitMicros, prepare }, actor, model);
  const outside = await openEdge(config, base);
  const examine = openReadiness(database, base.schema, () => systemClock.monotonic());
  const server = buildHttpServer({
    ...base,
    ...base.telemetry,
    metricsToken: config.telemetry.metricsToken,
    examine,
    keyedRequests: started.use(new KeyedRequests(database)),
    artifactBytes: config.artifactBytes,
    validateAnswers: config.validateAnswers,
    models: { list: () => models.list(), registry, test },
    openBackup: (signal) =>
      openBackup({ database, artifacts: artifactFolder(config), version: readVersion() }, signal),
    webhooks: {
      context: upkeep.webhookContext,
      test: (actor, id) => upkeep.webhooks.test(actor, id),
    },
    notifications: {
      settings: upkeep.settings,
      test: (actor, name) => upkeep.notifier.test(actor, name),
    },
    present,
    defaults,
    version: readVersion(),
    now,
    readDiff: async ({ runId, base: from, commit }) => {
      const { repository } = await readPreparation(database, runId);
      return computer.content.diff(repository, from, commit, AbortSignal.timeout(60_000));
    },
    policy: openPolicyDesk(database, builtinTools()),
    createSample: async (actor) => {
      const sample = await makeSample(computer, config.home, AbortSignal.timeout(60_000));
      return createTask({ database, present, defaults, now }, actor, sample);
    },
    pageFolder: join(import.meta.dirname, '..', '..', 'web', 'dist'),
    doctor: (actor, options) =>
      diagnose({
        config,
        readiness: examine,
        sandbox: base.sandbox,
        providers: () => registry.views(),
        upkeep: async () => [...(await upkeep.diagnose()), await diagnoseLog(base.anchors)],
        testModel: options.test ? (model) => test(actor, model) : null,
      }),
    ...outside,
    stopping: stopping.signal,
  });
  started.defer(async () => {
    stopping.abort();
    await server.close();
  });
  const url = await listen(server, config);
  upkeep.tellAddress(url);
  const connection = join(config.home, 'cli.json');
  const { key, owner: person, first } = await issueOwnerKey(database, `${hostname()}:${config.home}`);
  // A certificate is for a name, which only the public address holds.
  const address = config.tls === null ? url : (config.publicUrl ?? url);
  await writeFile(`${connection}.new`, `${JSON.stringify({ url: address, key, pid: process.pid })}\n`, {
    mode: 0o600,
  });
  await rename(`${connection}.new`, connection);
  started.defer(() => rm(connection, { force: true }));
  if (!first) return { url, loginUrl: null };
  const { token } = await createLoginToken(database, person);
  return { url, loginUrl: `${config.publicUrl ?? url}/login#token=${token}` };
}
