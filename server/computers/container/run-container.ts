import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type Docker from 'dockerode';
import type { CrashPoints } from '../../crash-points.ts';
import { AppError, messageOf } from '../../errors.ts';
import { openCapture } from '../capture.ts';
import { interpretExit } from '../launch.ts';
import {
  type Command,
  type CommandResult,
  type Gate,
  GateClosed,
  type Limits,
  type NetworkSession,
} from '../sandbox.ts';
import { buildContainerOptions, type ContainerView, notStarted } from './container-options.ts';
import { callEngine, removeContainer, statusOf, unlessGone } from './engine.ts';
import { makeMountPlaces } from './mount-places.ts';
import { splitStreams } from './split-streams.ts';

interface ContainerRun {
  engine: Docker;
  view: ContainerView;
  limits: Limits;
  session: NetworkSession | undefined;
  /** Where the standard input is written for the container to read; null where there is none. */
  stdinFile: string | null;
  crashPoints: CrashPoints | undefined;
  /** Takes over a container that has ended, or was never started. */
  remove(container: string): void;
}

/** The status of a process that SIGKILL ended. */
const killed = 137;

/**
 * Runs one command in a container of its own, to the end of every process.
 * @throws GateClosed; the signal's reason; AppError `sandbox_unavailable` where the container could not be made
 */
export async function runContainer(
  command: Command,
  run: ContainerRun,
  signal: AbortSignal,
): Promise<CommandResult> {
  let container: Docker.Container | undefined;
  try {
    if (run.stdinFile !== null) await writeFile(run.stdinFile, command.stdin ?? '', { mode: 0o644 });
    container = await createContainer(command, run);
    run.crashPoints?.reach('spawn:before');
    if (command.gate) await assertHolds(command.gate);
    signal.throwIfAborted();
    const capture = await openCapture(command);
    const attached = await attach(container, command.gate);
    const streams = splitStreams(attached);
    capture.attach(streams.stdout, streams.stderr);
    const drained = Promise.all([streams.stdout, streams.stderr].map((stream) => finished(stream)));
    const end = await follow(container, { ...run, command }, signal);
    run.crashPoints?.reach('spawn:after');
    await callEngine('reading a container’s output', Promise.all([drained, streams.ended]));
    const output = await capture.finish();
    signal.throwIfAborted();
    if (end.exitCode === notStarted && /^sh: .*\bcd: /.test(output.stderr.toString('utf8', 0, 100))) {
      throw asUnavailable(new Error(`there is no folder ${command.cwd}`));
    }
    return { ...output, ...end };
  } finally {
    if (container) run.remove(container.id);
    if (run.stdinFile !== null) await rm(run.stdinFile, { force: true });
  }
}

async function createContainer(command: Command, run: ContainerRun): Promise<Docker.Container> {
  const { engine, view, session } = run;
  await makeMountPlaces(command, view.user);
  // Its folder is private; inside, the user may be another than the server.
  if (session && view.user.uid !== process.getuid?.()) await chmod(session.socketPath, 0o666);
  try {
    const options = buildContainerOptions(command, run);
    return await callEngine('making a container', engine.createContainer(options));
  } catch (error) {
    throw asUnavailable(error);
  }
}

/** Only a container that was created before this reads the token may be started; see `openContainerSandbox`. */
async function assertHolds(gate: Gate): Promise<void> {
  let token: string;
  try {
    token = await readFile(join(gate.folder, 'token'), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new GateClosed(gate.folder);
    throw error;
  }
  if (token.replace(/\n$/, '') !== gate.token) throw new GateClosed(gate.folder);
}

async function attach(container: Docker.Container, gate: Gate | undefined): Promise<Readable> {
  const options = { stream: true, stdout: true, stderr: true };
  try {
    const stream = await callEngine('attaching to a container', container.attach(options));
    if (!(stream instanceof Readable)) throw new TypeError('the connection cannot be read');
    return stream;
  } catch (error) {
    throw gate && statusOf(error) === 404 ? new GateClosed(gate.folder) : asUnavailable(error);
  }
}

/** Starts it and waits until nothing in it runs any more. */
async function follow(
  container: Docker.Container,
  { command, engine, limits }: { command: Command; engine: Docker; limits: Limits },
  signal: AbortSignal,
): Promise<Omit<CommandResult, 'stdout' | 'stderr' | 'stdoutTruncated' | 'stderrTruncated' | 'outputBytes'>> {
  const began = performance.now();
  try {
    await callEngine('starting a container', container.start());
  } catch (error) {
    if (command.gate && statusOf(error) === 404) throw new GateClosed(command.gate.folder);
    throw asUnavailable(error);
  }
  const stuck = Promise.withResolvers<never>();
  const stop = () => {
    endContainer(engine, container).catch((error: unknown) => stuck.reject(asUnavailable(error)));
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, limits.timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) stop();
    const status = await Promise.race([awaitExit(container), stuck.promise]);
    const durationMs = performance.now() - began;
    const seen = await unlessGone(callEngine('looking at a container', container.inspect()));
    const outOfMemory = seen?.State.OOMKilled ?? false;
    return { ...interpretExit(status, null), timedOut, outOfMemory, durationMs };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** @throws where nothing ends it */
async function endContainer(engine: Docker, container: Docker.Container): Promise<void> {
  try {
    await unlessGone(callEngine('ending a container', container.kill()));
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    await removeContainer(engine, container.id);
  }
}

/** A container that a newer holder removes has been killed. */
async function awaitExit(container: Docker.Container): Promise<number> {
  try {
    const ended = await unlessGone<{ StatusCode: number }>(container.wait());
    return ended?.StatusCode ?? killed;
  } catch (error) {
    throw asUnavailable(error);
  }
}

function asUnavailable(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const message = `the sandbox of this command could not be made: ${messageOf(error)}`;
  return new AppError('sandbox_unavailable', message, { cause: error });
}
