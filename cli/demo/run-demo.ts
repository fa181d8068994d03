import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ChangeView } from '../../contract/changes.ts';
import type { RunView } from '../../contract/runs.ts';
import { createdTask, taskView } from '../../contract/tasks.ts';
import { Client } from '../client.ts';
import { missionHome } from '../connection.ts';
import type { CommandContext } from '../context.ts';
import { CommandError, exitStatus } from '../exit-status.ts';
import { openTerminal } from '../terminal.ts';
import { duration } from '../view/format.ts';
import { statusWord } from '../view/run-lines.ts';
import { showEnd } from '../watch/show-end.ts';
import { watchRun } from '../watch/watch-run.ts';
import { type DemoServer, ensureServer } from './server-process.ts';

const taskLimitMs = 10 * 60_000;
const help = `npm run demo [-- --exit]

Starts Mission Control and runs the sample task to its end with a recorded model: no key is needed and no
money is spent. It stays up until Ctrl-C; --exit ends it with the task, with status 0 only if the change
passed its checks and waits for review.
`;

/** @returns the exit status */
export async function runDemo(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'number') return options;
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new CommandError(exitStatus.interrupted, 'interrupted'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  const home = missionHome(process.env);
  const context: CommandContext = {
    client: new Client(home),
    terminal: openTerminal({ color: true, input: true }),
    json: false,
    noInput: options.exit,
    dryRun: false,
    signal: interruption.signal,
    interrupt,
  };
  const { err } = context.terminal;
  try {
    return await demonstrate(context, home, options.exit);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    err(error.exit === exitStatus.interrupted ? 'demo: ended by Ctrl-C\n' : `demo: ${error.message}\n`);
    return error.exit;
  }
}

function readOptions(args: string[]): { exit: boolean } | number {
  const known = {
    exit: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args, options: known });
    if (!values.help) return { exit: values.exit };
    process.stdout.write(help);
    return exitStatus.ok;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`demo: ${error.message}\n\n${help}`);
    return exitStatus.usage;
  }
}

async function demonstrate(context: CommandContext, home: string, exits: boolean): Promise<number> {
  const { terminal, signal } = context;
  const started = Date.now();
  const say = (line: string) => terminal.err(`demo: ${line}\n`);
  const root = join(import.meta.dirname, '..', '..');
  say('the sample task, with a recorded model: its answers are replayed, everything else is real');
  const port = Number(process.env.MISSION_PORT || 4700);
  await using server = await ensureServer({ root, home, port, say }, signal);
  const { run, change } = await performTask(context, say);
  const task = await context.client.get(`/tasks/${run.taskId}`, taskView, signal);
  const passed =
    change?.receipt.verdict === 'passed' && task.status === 'in_review' && run.status === 'succeeded';
  const { colors } = terminal.talk;
  const end = passed
    ? 'its change passed its checks and waits for your review'
    : `the demo did not end as it should (run ${run.status}, receipt ${change?.receipt.verdict ?? 'missing'})`;
  say(`task ${statusWord(task.status, colors)} after ${duration(Date.now() - started)}: ${end}`);
  say('remember: the model was a recording. For a real task see: mission run --help');
  if (exits || !server.isOwn) return passed ? exitStatus.ok : exitStatus.failed;
  await stayUp(server, signal, say);
  return passed ? exitStatus.ok : exitStatus.failed;
}

async function performTask(
  context: CommandContext,
  say: (line: string) => void,
): Promise<{ run: RunView; change: ChangeView | null }> {
  const { client, signal } = context;
  const created = await client.post('/sample', {}, createdTask, signal);
  say(`made the sample repository ${created.task.repository}`);
  const limit = AbortSignal.timeout(taskLimitMs);
  try {
    const run = await watchRun(context, created.run.id, AbortSignal.any([signal, limit]));
    return { run, change: await showEnd(context, run, { diff: true }) };
  } catch (error) {
    if (!limit.aborted || signal.aborted) throw error;
    throw new CommandError(
      exitStatus.failed,
      `the task has not ended within ${duration(taskLimitMs)}; see: mission watch ${created.run.id}`,
    );
  }
}

async function stayUp(server: DemoServer, signal: AbortSignal, say: (line: string) => void): Promise<void> {
  say(`Mission Control stays up at ${server.connection.url}; in this folder: npx mission status`);
  say('Ctrl-C ends it');
  const interrupted = new Promise<'interrupted'>((resolve) => {
    if (signal.aborted) resolve('interrupted');
    signal.addEventListener('abort', () => resolve('interrupted'), { once: true });
  });
  const first = await Promise.race([interrupted, server.ended.then(() => 'ended' as const)]);
  if (first === 'ended')
    throw new CommandError(exitStatus.failed, 'the server ended by itself; see demo/server.log');
  say('ending the server');
}
