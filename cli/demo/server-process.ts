import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionFile } from '../../contract/system.ts';
import { readConnection } from '../connection.ts';
import { CommandError, exitStatus } from '../exit-status.ts';
import { printable } from '../printable.ts';

const startLimitMs = 120_000;
const stopLimitMs = 20_000;

/** The server that a demo talks to. Disposing of it ends it, if the demo started it. */
export interface DemoServer extends AsyncDisposable {
  connection: ConnectionFile;
  /** False where it ran before and goes on running. */
  isOwn: boolean;
  /** Resolves when a server of our own ends; never for another's. */
  ended: Promise<void>;
}

/**
 * The server at this home: the one that runs, or a new one.
 * @throws CommandError where none can be started, with the server's own last words
 */
export async function ensureServer(
  options: { root: string; home: string; port: number; say: (line: string) => void },
  signal: AbortSignal,
): Promise<DemoServer> {
  const running = await findServer(options.home);
  if (running !== null) {
    options.say(`using the server that runs at ${running.url}`);
    const ended = new Promise<void>(() => undefined);
    return { connection: running, isOwn: false, ended, [Symbol.asyncDispose]: async () => undefined };
  }
  if (await isTaken(options.port)) {
    throw new CommandError(
      exitStatus.failed,
      `Port ${options.port} is taken by another program (or by a server with another MISSION_HOME). End that, or choose another: MISSION_PORT=${options.port + 1} npm run demo`,
    );
  }
  options.say('starting the server');
  return startServer(options, signal);
}

/** null where no server runs at this home; a file left by one that died counts as none. */
async function findServer(home: string): Promise<ConnectionFile | null> {
  const connection = await readConnection(home).catch((error: unknown) => {
    if (error instanceof CommandError && error.exit === exitStatus.unreachable) return null;
    throw error;
  });
  if (connection === null || !isProcess(connection.pid)) return null;
  return (await answers(connection)) ? connection : null;
}

async function answers({ url, key }: ConnectionFile): Promise<boolean> {
  try {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(new URL('/api/v1/status', url), {
      headers,
      signal: AbortSignal.timeout(5_000),
    });
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    // Refused, reset or silent: whatever it is, it is not our server.
    if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) return false;
    throw error;
  }
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function isTaken(port: number): Promise<boolean> {
  if (port === 0) return false;
  const socket = connect({ host: '127.0.0.1', port });
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.setTimeout(2_000, () => resolve(true));
    });
  } finally {
    socket.destroy();
  }
}

async function startServer(
  { root, home }: { root: string; home: string },
  signal: AbortSignal,
): Promise<DemoServer> {
  const logFile = join(home, 'demo', 'server.log');
  await mkdir(join(home, 'demo'), { recursive: true, mode: 0o700 });
  const log = await open(logFile, 'w', 0o600);
  // In a process group of its own: Ctrl-C reaches the demo alone, which then ends the server in order.
  const child = spawn(process.execPath, [join(root, 'server', 'main.ts')], {
    cwd: root,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  await log.close();
  try {
    const connection = await becomeReady(child, home, signal);
    return { connection, isOwn: true, ended, [Symbol.asyncDispose]: () => stopServer(child, ended) };
  } catch (error) {
    await stopServer(child, ended);
    if (!(error instanceof CommandError) || signal.aborted) throw error;
    const words = printable(await readFile(logFile, 'utf8'))
      .trimEnd()
      .split('\n')
      .slice(-15)
      .join('\n');
    throw new CommandError(error.exit, `${error.message}\n${words}\n(all of it: ${logFile})`);
  }
}

async function becomeReady(child: ChildProcess, home: string, signal: AbortSignal): Promise<ConnectionFile> {
  for (const deadline = Date.now() + startLimitMs; Date.now() < deadline; ) {
    if (hasEnded(child)) throw new CommandError(exitStatus.failed, 'The server ended while it started:');
    const connection = await findServer(home);
    if (connection !== null && connection.pid === child.pid) return connection;
    await sleep(50, undefined, { signal });
  }
  throw new CommandError(exitStatus.failed, `The server was not ready within ${startLimitMs / 1_000} s:`);
}

async function stopServer(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  const limit = new AbortController();
  const late = sleep(stopLimitMs, 'late' as const, { signal: limit.signal }).catch(() => 'aborted' as const);
  const first = await Promise.race([ended.then(() => 'ended' as const), late]);
  limit.abort();
  if (first !== 'late') return;
  child.kill('SIGKILL');
  await ended;
}

function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}
