import type { Command } from 'commander';
import { type TaskView, taskView } from '../../contract/tasks.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printable, printableLine } from '../printable.ts';
import { resolveId } from '../resolve-id.ts';
import { statusWord, waitingLines } from '../view/run-lines.ts';

interface ListOptions {
  status?: string;
  project?: string;
  assignee?: string;
  text?: string;
  limit: string;
}

export function addTaskCommands(program: Command, run: Run): void {
  const task = program.command('task').description('list tasks, look at one, cancel it, or try it again');
  task
    .command('list')
    .description('tasks, the newest first')
    .option('--status <status>', 'such as pending, in_review or failed')
    .option('--project <name>', 'of this project')
    .option('--assignee <agent>', 'of this agent; none for those of whoever claims them')
    .option('--text <words>', 'with these words in title or instructions')
    .option('--limit <number>', 'how many at most', '50')
    .action((options: ListOptions, command: Command) => run(command, (context) => list(context, options)));
  task
    .command('show')
    .description('a task, and what it waits for')
    .argument('<task>')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, async (context) => {
        const id = await resolveId(context.client, 'task', given);
        return show(context, await context.client.get(`/tasks/${id}`, taskView, context.signal));
      }),
    );
  task
    .command('cancel')
    .description('end a task with its children, and stop what works on them')
    .argument('<task>')
    .argument('[reason]')
    .option('--dry-run', 'say what would be cancelled, and cancel nothing')
    .action((given: string, reason: string | undefined, _options: unknown, command: Command) =>
      run(command, (context) => act(context, given, 'cancel', { reason: reason ?? '' })),
    );
  task
    .command('retry')
    .description('begin a failed or cancelled task anew')
    .argument('<task>')
    .option('--dry-run', 'say what would be tried again, and begin nothing')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, (context) => act(context, given, 'retry', {})),
    );
}

async function list(context: CommandContext, options: ListOptions): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const query = new URLSearchParams({ ...options });
  const tasks = await client.list(`/tasks?${query}`, taskView, signal);
  if (json) terminal.out(`${JSON.stringify(tasks)}\n`);
  else for (const task of tasks) terminal.out(`${taskLine(task, context)}\n`);
  if (tasks.length === 0) terminal.err('No task.\n');
  return exitStatus.ok;
}

async function act(
  context: CommandContext,
  given: string,
  verb: 'cancel' | 'retry',
  body: object,
): Promise<ExitStatus> {
  const { client, terminal, dryRun, signal } = context;
  const id = await resolveId(client, 'task', given);
  if (dryRun) {
    terminal.err(`would ${verb} ${id}\n`);
    return exitStatus.ok;
  }
  return show(context, await client.post(`/tasks/${id}/${verb}`, body, taskView, signal));
}

function show(context: CommandContext, task: TaskView): ExitStatus {
  const { terminal, json } = context;
  if (json) {
    terminal.out(`${JSON.stringify(task)}\n`);
    return exitStatus.ok;
  }
  const { style } = terminal;
  const facts = [
    `project ${printableLine(task.project, 60)}`,
    `priority ${task.priority}`,
    task.assignee === null ? 'whoever claims it' : `assignee ${printableLine(task.assignee.name, 60)}`,
    task.deadline === null ? '' : `deadline ${task.deadline}`,
    task.dependsOn.length === 0 ? '' : `after ${task.dependsOn.join(', ')}`,
  ];
  const lines = [
    taskLine(task, context),
    style.colors.dim(`  ${facts.filter(Boolean).join(' · ')}`),
    ...(task.waiting === null ? [] : waitingLines(task.waiting, style, new Date())),
    '',
    printable(task.instructions),
    ...(task.result === null
      ? []
      : [
          '',
          `${task.attested ? 'attested, not proved: ' : ''}${printableLine(JSON.stringify(task.result), style.width * 4)}`,
        ]),
  ];
  terminal.out(`${lines.join('\n')}\n`);
  return exitStatus.ok;
}

function taskLine(task: TaskView, { terminal: { style } }: CommandContext): string {
  const { colors } = style;
  const title = colors.bold(printableLine(task.title, Math.max(style.width - 44, 20)));
  return `${statusWord(task.status, colors)}  ${title}  ${colors.dim(task.id)}`;
}
