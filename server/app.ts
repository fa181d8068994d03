import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { developerPrompt } from './agent/developer.ts';
import { openBackup } from './backup/write-backup.ts';
import { systemClock } from './clock.ts';
import { openLocalSandbox } from './computers/local-sandbox.ts';
import type { Sandbox } from './computers/sandbox.ts';
import { openUnsafeSandbox } from './computers/unsafe-sandbox.ts';
import { openCleanRoom } from './computers/workspaces/clean-room.ts';
import { openGit } from './computers/workspaces/git.ts';
import { openPreparedSetups } from './computers/workspaces/prepared-setup.ts';
import { openRepositories } from './computers/workspaces/repositories.ts';
import { openRepositoryContent } from './computers/workspaces/repository-content.ts';
import { openServices } from './computers/workspaces/services.ts';
import { openWorkspaces } from './computers/workspaces/workspace.ts';
import type { Config } from './config.ts';
import { type CrashPoints, readCrashPoints } from './crash-points.ts';
import { withCommitHook } from './database/commit-hook.ts';
import type { Connection } from './database/connection.ts';
import type { Database } from './database/database.ts';
import { type EmbeddedPostgres, findEmbedded, startEmbedded } from './database/embedded.ts';
import { findBundledPostgres } from './database/embedded-binaries.ts';
import { loadMigrations, migrate } from './database/migrate.ts';
import { openDatabase } from './database/postgres.ts';
import type { Actor } from './domain/actor.ts';
import { Artifacts } from './domain/artifacts/artifacts.ts';
import { expireAsk } from './domain/asks/asks.ts';
import { remindOfReview } from './domain/changes/changes.ts';
import { testModel } from './domain/credentials/model-probe.ts';
import { Pace } from './domain/credentials/pace.ts';
import { ProviderRegistry } from './domain/credentials/provider-registry.ts';
import { issueOwnerKey, registerAgent } from './domain/principals/principals.ts';
import { createLoginToken } from './domain/principals/sessions.ts';
import { RunPresenter, remindOfRun } from './domain/runs/runs.ts';
import { createTask, setTaskStatus } from './domain/tasks/tasks.ts';
import { diagnose } from './drivers/diagnose.ts';
import { type RoomOptions, withRoom } from './drivers/disk-room.ts';
import { openMergeDriver } from './drivers/merge-driver.ts';
import type { Computer, DriverParts } from './drivers/parts.ts';
import { readPreparation } from './drivers/prepare.ts';
import { openPushDriver } from './drivers/push-driver.ts';
import { closeUp } from './drivers/rest.ts';
import { openRevertDriver } from './drivers/revert-driver.ts';
import { makeSample } from './drivers/sample.ts';
import { openTaskDriver } from './drivers/task-driver.ts';
import { AppError } from './errors.ts';
import { EventFeed } from './events/feed.ts';
import { LiveChannel } from './events/live.ts';
import { Sequencer } from './events/sequencer.ts';
import { listen } from './http/listen.ts';
import { buildHttpServer } from './http/server.ts';
import { readVersion } from './http/version.ts';
import { newId } from './ids.ts';
import { type Logger, openLog } from './log.ts';
import { type ModelCatalogue, openModels } from './models/models.ts';
import { openFetch } from './models/network.ts';
import { addOwnModels, readPriceTable } from './models/prices.ts';
import { openRecorder } from './models/recorder.ts';
import { prepareShortCall } from './models/short-call.ts';
import { expireDeadHolders, LeaseWatch } from './runs/lease-watch.ts';
import { Timers } from './runs/timers.ts';
import { Worker } from './runs/worker.ts';
import { builtinTools } from './tools/catalogue.ts';
import { developerPolicy } from './tools/policy.ts';
import { startUpkeep, type Upkeep } from './upkeep.ts';

const owner = 'owner';
const developer = 'developer';

export interface App extends AsyncDisposable {
  /** Where the API answers; null in a process without that role. */
  url: string | null;
  /** A one-time link to the dashboard, given at the first start on a database. */
  loginUrl: string | null;
}

/** Builds the process out of its parts and starts the chosen roles; disposing stops them in reverse. */
export async function startApp(config: Config, env: NodeJS.ProcessEnv): Promise<App> {
  await using started = new AsyncDisposableStack();
  const log = openLog(config.logLevel);
  const crashPoints = readCrashPoints(env);
  await mkdir(config.home, { recursive: true, mode: 0o700 });

  const { database, connection } = await openStore(config, { log, crashPoints, started });
  const feed = started.use(new EventFeed({ database, log }));
  await feed.start();
  const live = started.use(new LiveChannel({ database, log }));
  await live.start();

  const { models, registry, pace } = await openConfiguredModels(config, {
    database,
    log,
    crashPoints,
    started,
  });
  const sandbox = await openSandbox(config, { log, crashPoints, started });
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
      computer,
      artifacts,
      live,
      sandbox,
      room: upkeep.room,
      started,
    });
  }
  startWatches(config, { database, log, started });
  const api = config.roles.includes('api')
    ? await startApi(config, {
        database,
        log,
        models,
        registry,
        computer,
        artifacts,
        feed,
        upkeep,
        live,
        sandbox,
        started,
      })
    : { url: null, loginUrl: null };

  const running = started.move();
  return { ...api, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

interface Base {
  log: Logger;
  started: AsyncDisposableStack;
}

/** The database with its sequencer: given by URL, or embedded and then ours alone to migrate and to clean up. */
async function openStore(
  config: Config,
  base: Base & { crashPoints: CrashPoints },
): Promise<{ database: Database; connection: string | Connection }> {
  const { log, crashPoints, started } = base;
  const embedded = config.databaseUrl === null ? started.use(await openEmbedded(config, log)) : null;
  const connection = embedded?.connection ?? config.databaseUrl ?? '';
  const plain = await openDatabase({ connection, crashPoints, log });
  started.defer(() => plain.close());
  if (embedded?.kind !== 'guest')
    await migrate(plain, await loadMigrations(join(import.meta.dirname, '..', 'migrations')));
  if (embedded?.kind === 'owner') {
    const expired = await expireDeadHolders(plain, systemClock.now());
    if (expired > 0) log.info({ runs: expired }, 'runs of a process that died go on');
  }
  const sequencer = started.use(new Sequencer({ database: plain, log }));
  return { database: withCommitHook(plain, () => sequencer.poke()), connection };
}

async function openEmbedded(config: Config, log: Logger): Promise<EmbeddedPostgres> {
  const folder = join(config.home, 'postgres');
  if (config.roles.includes('api')) return startEmbedded({ folder, log });
  const found = await findEmbedded({ folder });
  if (found === undefined) {
    throw new AppError(
      'database_unavailable',
      `no server owns ${folder}: start one (mission up), or give DATABASE_URL`,
    );
  }
  return found;
}

/** Providers, prices and their shared pace, and every model that can be called. */
async function openConfiguredModels(
  config: Config,
  base: Base & { database: Database; crashPoints: CrashPoints },
): Promise<{ models: ModelCatalogue; registry: ProviderRegistry; pace: Pace }> {
  const { log, database, crashPoints } = base;
  const registry = await ProviderRegistry.open({
    database,
    configured: config.providers,
    vaultKey: config.vaultKey,
    vaultFile: join(config.home, 'vault.key'),
    log,
  });

  const keys = async () => (await registry.connections()).flatMap(({ apiKey }) => apiKey ?? []);
  const recorder =
    config.record === null ? undefined : openRecorder({ file: config.record, log, secrets: keys });
  const models = openModels({
    recordings: config.recordings,
    registry,
    prices: addOwnModels(readPriceTable(), config.models),
    fetch: openFetch(config.proxy),
    log,
    crashPoints,
    recorder,
  });
  const pace = new Pace({ database, now: () => systemClock.now(), limits: () => registry.limits() });
  return { models, registry, pace };
}

async function openSandbox(config: Config, base: Base & { crashPoints: CrashPoints }): Promise<Sandbox> {
  if (!config.unsafeNoSandbox) {
    return base.started.use(await openLocalSandbox({ ...base, runtimeFolder: join(config.home, 'runtime') }));
  }
  base.log.warn('commands run WITHOUT a sandbox (--unsafe-no-sandbox): agents can do whatever this user can');
  return openUnsafeSandbox(base);
}

async function openComputer(config: Config, sandbox: Sandbox): Promise<Computer> {
  const { home } = config;
  const git = await openGit(home, sandbox, { sshFolder: join(homedir(), '.ssh') });
  const bundledPostgres = await findBundledPostgres(join(home, 'runtime', 'postgresql-links'));
  const services = await openServices(home, { bundledPostgres });
  const parts = { home, sandbox, git, services };
  return {
    git,
    repositories: openRepositories(home, git),
    content: openRepositoryContent(git),
    workspaces: openWorkspaces(parts),
    setups: openPreparedSetups(parts),
    cleanRoom: await openCleanRoom(parts),
    services,
    temporaryFolder: join(home, 'temporary'),
    gateFolder: (runId) => join(home, 'runs', runId),
  };
}

async function registerDeveloper(database: Database, config: Config): Promise<void> {
  await registerAgent(database, {
    name: developer,
    role: 'developer',
    prompt: developerPrompt,
    model: config.agentModel,
    fallbackModels: config.fallbackModels,
    playbook: 'coder',
    policy: developerPolicy,
  });
}

type WorkerBase = Base & {
  database: Database;
  crashPoints: CrashPoints;
  models: ModelCatalogue;
  pace: Pace;
  room: RoomOptions;
  computer: Computer;
  artifacts: Artifacts;
  live: LiveChannel;
  sandbox: Sandbox;
};

async function startWorker(config: Config, base: WorkerBase): Promise<void> {
  const { database, log, started } = base;
  const parts: DriverParts = {
    ...base,
    clock: systemClock,
    tools: builtinTools(),
    settings: { ...config, owner },
  };
  const worker = new Worker({
    id: newId('wrk'),
    database,
    clock: systemClock,
    log,
    sandbox: base.sandbox.kind,
    drivers: {
      task: withRoom(base.room, openTaskDriver(parts)),
      merge: withRoom(base.room, openMergeDriver(parts)),
      revert: withRoom(base.room, openRevertDriver(parts)),
      push: withRoom(base.room, openPushDriver(parts)),
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

function startWatches(config: Config, base: Base & { database: Database }): void {
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
        'task.reminder': (transaction, id) => remindOfReview(transaction, id, now()),
      },
    }),
  );
}

type ApiBase = Base & {
  database: Database;
  models: ModelCatalogue;
  registry: ProviderRegistry;
  upkeep: Upkeep;
  computer: Computer;
  artifacts: Artifacts;
  feed: EventFeed;
  live: LiveChannel;
  sandbox: Sandbox;
};

async function startApi(config: Config, base: ApiBase): Promise<Pick<App, 'url' | 'loginUrl'>> {
  const { database, models, registry, computer, upkeep, started } = base;
  const stopping = new AbortController();
  const present = new RunPresenter((model) => models.describe(model));
  const defaults = { ...config, agent: developer };
  const now = () => systemClock.now();
  const prepare = (model: string) => prepareShortCall(models, model);
  const test = (actor: Actor, model: string) =>
    testModel({ database, dayLimitMicros: config.dayLimitMicros, prepare }, actor, model);
  const server = buildHttpServer({
    ...base,
    models: { list: () => models.list(), registry, test },
    openBackup: (signal) =>
      openBackup({ database, artifacts: artifactFolder(config), version: readVersion() }, signal),
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
    createSample: async (actor) => {
      const sample = await makeSample(computer, config.home, AbortSignal.timeout(60_000));
      return createTask({ database, present, defaults, now }, actor, sample);
    },
    pageFolder: join(import.meta.dirname, '..', 'web', 'dist'),
    doctor: (actor, options) =>
      diagnose({
        config,
        database,
        sandbox: base.sandbox,
        providers: () => registry.views(),
        upkeep: () => upkeep.diagnose(),
        testModel: options.test ? (model) => test(actor, model) : null,
      }),
    ownHosts: new Set(['127.0.0.1', 'localhost', '[::1]', config.host]),
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
  await writeFile(`${connection}.new`, `${JSON.stringify({ url, key, pid: process.pid })}\n`, {
    mode: 0o600,
  });
  await rename(`${connection}.new`, connection);
  started.defer(() => rm(connection, { force: true }));
  if (!first) return { url, loginUrl: null };
  const { token } = await createLoginToken(database, person);
  return { url, loginUrl: `${url}/login#token=${token}` };
}

const artifactFolder = (config: Config) => join(config.home, 'artifacts');
