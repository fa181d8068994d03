import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { type RunView, runView } from '../../contract/runs.ts';
import { type CreateTaskBody, createdTask, type Service } from '../../contract/tasks.ts';
import { readAttachments, sendAttachments } from '../attach.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { resolveId } from '../resolve-id.ts';
import { statusWord, waitingLines } from '../view/run-lines.ts';
import { showEnd } from '../watch/show-end.ts';
import { watchRun } from '../watch/watch-run.ts';

interface RunOptions {
  repo: string;
  branch?: string;
  folder?: string;
  title?: string;
  check: string[];
  setup: string[];
  attach: string[];
  service: Service[];
  agent?: string;
  model?: string;
  usd?: number;
  tokens?: number;
  detach: boolean;
}

export function addRunCommands(program: Command, run: Run): void {
  const gather = (value: string, before: string[]) => [...before, value];
  program
    .command('run')
    .description('give a task on a repository to an agent, and watch it')
    .argument('<task>', 'what is wanted, in words; - reads it from standard input')
    .requiredOption('--repo <path-or-url>', 'a folder here, or a file:, https: or ssh: URL, or git@host:path')
    .option('--branch <name>', "work from this branch instead of the repository's own")
    .option('--folder <path>', 'where in the repository checks and set-up run')
    .option('--title <words>', 'a name for lists; made from the task otherwise')
    .option('--check <command>', 'must pass on the change; may be repeated; discovered otherwise', gather, [])
    .option('--setup <command>', 'prepares dependencies; may be repeated; discovered otherwise', gather, [])
    .option('--service <name>', 'postgresql or redis, started beside each check; may be repeated', gather, [])
    .option('--attach <file>', 'a file that the agent gets with the task; may be repeated', gather, [])
    .option('--agent <name>', 'who does it')
    .option('--model <name>', 'such as anthropic/claude-sonnet-4-5')
    .option('--usd <number>', 'the most it may cost, in dollars', positive)
    .option('--tokens <number>', 'the most it may use, in tokens', wholePositive)
    .option('--detach', 'print the identifier of the run and do not watch', false)
    .option('--dry-run', 'print what would be asked of the server, and ask nothing')
    .action((task: string, options: RunOptions, command: Command) =>
      run(command, (context) => startTask(context, task, options)),
    );
  program
    .command('watch')
    .description('show a run as it happens, from its beginning')
    .argument('<run>')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, async (context) => watchToEnd(context, await resolveId(context.client, 'run', given))),
    );
  for (const [verb, what] of [
    ['pause', 'let a run rest after what it is doing now'],
    ['resume', 'let a paused run go on'],
  ] as const) {
    program
      .command(verb)
      .description(what)
      .argument('<run>')
      .option('--dry-run', 'say what would be done, and do nothing')
      .action((given: string, _options: unknown, command: Command) =>
        run(command, (context) => control(context, verb, given)),
      );
  }
  program
    .command('say')
    .description('tell a running agent something; it reads it before its next step')
    .argument('<run>')
    .argument('<text>')
    .option('--dry-run', 'say what would be done, and do nothing')
    .action((given: string, words: string, _options: unknown, command: Command) =>
      run(command, (context) => say(context, given, words)),
    );
}

async function startTask(context: CommandContext, task: string, options: RunOptions): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  const instructions = task === '-' ? await text(process.stdin) : task;
  const body = taskBody(instructions, options, process.cwd());
  const files = await readAttachments(options.attach, process.cwd());
  if (dryRun) {
    terminal.out(`${JSON.stringify(body, null, json ? 0 : 2)}\n`);
    return exitStatus.ok;
  }
  const attachments = await sendAttachments(client, files, signal);
  const created = await client.post(
    '/tasks',
    {
      ...body,
      ...(options.service.length === 0 ? {} : { services: options.service }),
      ...(attachments.length === 0 ? {} : { attachments }),
    },
    createdTask,
    signal,
  );
  if (options.detach) {
    terminal.out(`${json ? JSON.stringify(created) : created.run.id}\n`);
    if (!json) terminal.err(`Watch it with: mission watch ${created.run.id}\n`);
    return exitStatus.ok;
  }
  return watchToEnd(context, created.run.id);
}

/** @param folder what a relative path starts from */
export function taskBody(
  instructions: string,
  options: Omit<RunOptions, 'attach' | 'service'>,
  folder: string,
): CreateTaskBody {
  const { repo, branch, folder: part, title, check, setup, agent, model, usd, tokens } = options;
  if (instructions.trim() === '')
    throw new CommandError(exitStatus.usage, 'The task is empty; say what is wanted.');
  const isUrl =
    /^[a-z][a-z0-9+.-]*:\/\//i.test(repo) || /^file:/i.test(repo) || /^[\w.+-]+@[\w.-]+:/.test(repo);
  return {
    instructions,
    repository: isUrl ? repo : resolve(folder, repo),
    ...(title === undefined ? {} : { title }),
    ...(branch === undefined ? {} : { branch }),
    ...(part === undefined ? {} : { folder: part }),
    ...(check.length === 0 ? {} : { checks: check }),
    ...(setup.length === 0 ? {} : { setup }),
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model }),
    ...(usd === undefined && tokens === undefined
      ? {}
      : { budget: { ...(usd === undefined ? {} : { usd }), ...(tokens === undefined ? {} : { tokens }) } }),
  };
}

/** Watches a run and shows what came of it. Ctrl-C ends the watching alone. */
export async function watchToEnd(context: CommandContext, runId: string): Promise<ExitStatus> {
  let run: RunView;
  try {
    run = await watchRun(context, runId, context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
    context.terminal.err(
      `\nNo longer watching; the run goes on.\n  see it again  mission watch ${runId}\n  stop it       mission stop ${runId}\n`,
    );
    return exitStatus.interrupted;
  }
  await showEnd(context, run);
  return run.status === 'succeeded' ? exitStatus.ok : exitStatus.failed;
}

export async function control(
  context: CommandContext,
  verb: 'pause' | 'resume' | 'stop',
  given: string,
): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  const id = await resolveId(client, 'run', given);
  if (dryRun) {
    terminal.err(`would ${verb} ${id}\n`);
    return exitStatus.ok;
  }
  const run = await client.post(`/runs/${id}/${verb}`, {}, runView, signal);
  if (json) {
    terminal.out(`${JSON.stringify(run)}\n`);
    return exitStatus.ok;
  }
  const { style } = terminal;
  const wait = run.waiting === null ? [] : waitingLines(run.waiting, style, new Date());
  terminal.out(`${[`${run.id}  ${statusWord(run.status, style.colors)}`, ...wait].join('\n')}\n`);
  if (verb === 'pause' && run.status === 'running') terminal.err('It pauses after what it is doing now.\n');
  return exitStatus.ok;
}

async function say(context: CommandContext, given: string, words: string): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  const id = await resolveId(client, 'run', given);
  if (dryRun) {
    terminal.err(`would say to ${id}: ${words}\n`);
    return exitStatus.ok;
  }
  const answer = await client.post(`/runs/${id}/say`, { text: words }, z.unknown(), signal);
  if (json) terminal.out(`${JSON.stringify(answer)}\n`);
  else terminal.err('Said; the agent reads it before its next step.\n');
  return exitStatus.ok;
}

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0) || !Number.isFinite(number))
    throw new InvalidArgumentError('It must be a positive number.');
  return number;
}

function wholePositive(value: string): number {
  const number = positive(value.replaceAll('_', ''));
  if (!Number.isInteger(number)) throw new InvalidArgumentError('It must be a whole number.');
  return number;
}
