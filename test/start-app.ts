import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { argumentsOf, childrenOf, sendKill } from '../server/computers/processes.ts';
import { ApiClient } from './api-client.ts';
import { makeSmallRepository } from './small-repository.ts';

const root = join(import.meta.dirname, '..');
const readyLimitMs = 60_000;
const stopLimitMs = 30_000;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server process of its own, as `npm start` makes one. Disposing of it kills it, if it still lives. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** True when it has said that it is ready; false where it ended before. */
  readonly ready: Promise<boolean>;
  /** Everything that it has logged until now. */
  log(): string;
  /** Resolves when the log holds the text. @throws Error when it ends without, or after a minute */
  awaitLog(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** The numbers of the living processes below this one whose command line is this. */
  commands(line: string): number[];
  /** SIGTERM, and its end. @throws Error where it does not end within 30 s */
  stop(): Promise<Exit>;
}

export interface ServerOptions {
  /** `api`, `worker` or both, as on the command line. */
  roles?: string;
  /** Of the server's environment; DATABASE_URL for a given PostgreSQL, else the embedded one is used. */
  env?: Record<string, string>;
}

/** A MISSION_HOME of a test with its small repository; disposing removes it with all that ran there. */
export interface TestHome extends AsyncDisposable {
  readonly path: string;
  /** A bare repository, made for this home. */
  readonly repository: string;
  readonly api: ApiClient;
  /** Starts a server here and does not wait for it. */
  spawn(options?: ServerOptions): ServerProcess;
  /** Starts a server here. @throws Error with its log where it ends instead of becoming ready */
  start(options?: ServerOptions): Promise<ServerProcess>;
  /** The numbers of all living processes that name this home on their command line. */
  processes(): Promise<number[]>;
}

/** @param config of `mission.config.json` */
export async function makeHome(config: Record<string, unknown> = {}): Promise<TestHome> {
  const folder = await mkdtemp(join(tmpdir(), 'mission-home-'));
  const path = join(folder, 'home');
  await mkdir(path, { mode: 0o700 });
  await writeFile(join(path, 'mission.config.json'), JSON.stringify(config));
  const repository = await makeSmallRepository(join(folder, 'repositories'));
  const servers: ServerProcess[] = [];
  const spawnHere = (options: ServerOptions = {}) => {
    const server = spawnServer(path, options);
    servers.push(server);
    return server;
  };
  return {
    path,
    repository,
    api: new ApiClient(path),
    spawn: spawnHere,
    async start(options) {
      const server = spawnHere(options);
      if (await server.ready) return server;
      throw new Error(`the server ended while it started:\n${server.log()}`);
    },
    processes: () => processesNaming(path),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      await endPostgres(path);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function spawnServer(home: string, { roles, env = {} }: ServerOptions): ServerProcess {
  const args = [join(root, 'server', 'main.ts'), ...(roles === undefined ? [] : ['--roles', roles])];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      MISSION_HOME: home,
      MISSION_PORT: '0',
      // One for all homes: what each would compile anew is the same.
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
      MISSION_LOG: 'debug',
      MISSION_LEASE_SECONDS: '1',
      MISSION_VALIDATE_RESPONSES: '1',
      MISSION_RECORDINGS: join(import.meta.dirname, 'recordings'),
      ...env,
    },
  });
  const ready = Promise.withResolvers<boolean>();
  const exit = Promise.withResolvers<Exit>();
  const listeners = new Set<() => void>();
  let log = '';
  let ended = false;
  const tell = () => {
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('is ready')) ready.resolve(true);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    tell();
  });
  child.once('error', exit.reject);
  child.once('close', (code, signal) => {
    ended = true;
    ready.resolve(false);
    exit.resolve({ code, signal });
    tell();
  });
  const kill = (signal: NodeJS.Signals) => void child.kill(signal);
  return {
    pid: child.pid ?? 0,
    exit: exit.promise,
    ready: within(readyLimitMs, ready.promise, () => `the server was not ready in time:\n${log}`),
    log: () => log,
    async awaitLog(text) {
      const found = Promise.withResolvers<void>();
      const look = () => {
        if (log.includes(text)) found.resolve();
        else if (ended) found.reject(new Error(`the server ended and never logged "${text}":\n${log}`));
      };
      listeners.add(look);
      look();
      try {
        await within(60_000, found.promise, () => `the log lacks "${text}":\n${log}`);
      } finally {
        listeners.delete(look);
      }
    },
    kill,
    commands: (line) => descendantsOf(child.pid ?? 0).filter((pid) => argumentsOf(pid).join(' ') === line),
    async stop() {
      kill('SIGTERM');
      return within(stopLimitMs, exit.promise, () => `the server did not stop:\n${log}`);
    },
    async [Symbol.asyncDispose]() {
      if (!ended) kill('SIGKILL');
      await exit.promise;
    },
  };
}

/** @throws Error with the explanation where the promise takes longer */
export async function within<T>(limitMs: number, promise: Promise<T>, explain: () => string): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(new Error(explain())), limitMs);
  try {
    return await Promise.race([promise, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again, for what no event tells: the state of a process or of a lock. */
export async function until<T>(
  look: () => Promise<T | undefined>,
  what: string,
  limitMs = 40_000,
): Promise<T> {
  for (const deadline = performance.now() + limitMs; performance.now() < deadline; await delay(20)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`it did not come about within ${limitMs} ms: ${what}`);
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child.pid, ...descendantsOf(child.pid)]);
}

/** The living processes whose command line holds the text. */
export async function processesNaming(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const lines = await Promise.all(
    pids.map(async (pid) => ({ pid, line: await readGone(`/proc/${pid}/cmdline`) })),
  );
  return lines.filter(({ pid, line }) => pid !== process.pid && line.includes(text)).map(({ pid }) => pid);
}

/** The embedded PostgreSQL's first process; undefined where none runs. */
export async function readPostmaster(home: string): Promise<number | undefined> {
  const pid = Number((await readGone(join(home, 'postgres', 'data', 'postmaster.pid'))).split('\n')[0]);
  if (!(pid > 0)) return undefined;
  return (await readGone(`/proc/${pid}/cmdline`)).includes(home) ? pid : undefined;
}

/** One that its killed owner left running would run for ever: nobody starts a server here again. */
async function endPostgres(home: string): Promise<void> {
  const pid = await readPostmaster(home);
  if (pid === undefined) return;
  sendKill(pid);
  await until(async () => ((await processesNaming(home)).length === 0 ? true : undefined), 'PostgreSQL ends');
}

/** Empty where the file, or the process that it tells of, is gone. */
async function readGone(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES'].includes(`${error.code}`))
      return '';
    throw error;
  }
}
