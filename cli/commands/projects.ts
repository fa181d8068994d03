import type { Command } from 'commander';
import { z } from 'zod';
import { projectView } from '../../contract/projects.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';
import { count } from '../view/format.ts';

interface CreateOptions {
  repo?: string;
  check: string[];
  review: boolean;
}

export function addProjectCommands(program: Command, run: Run): void {
  const project = program.command('project').description('list projects, make one, or delete one');
  project
    .command('list')
    .description('projects, the newest first')
    .action((_options: unknown, command: Command) => run(command, list));
  project
    .command('create')
    .description('make a project: a repository, or a body of work without one')
    .argument('<name>')
    .option('--repo <path-or-url>', 'its repository: an absolute path, or a URL')
    .option('--check <command>', 'must pass on its changes; may be repeated', gather, [])
    .option('--no-review', 'what is done is completed without a look at it')
    .action((name: string, options: CreateOptions, command: Command) =>
      run(command, (context) => create(context, name, options)),
    );
  project
    .command('delete')
    .description('delete a project that has no open task; the log goes on to name it')
    .argument('<id>')
    .option('--dry-run', 'say what would be deleted, and delete nothing')
    .action((id: string, _options: unknown, command: Command) =>
      run(command, (context) => remove(context, id)),
    );
}

const gather = (value: string, before: string[]) => [...before, value];

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const projects = await client.list('/projects', projectView, signal);
  if (json) {
    terminal.out(`${JSON.stringify(projects)}\n`);
    return exitStatus.ok;
  }
  const { colors } = terminal.style;
  for (const { id, name, repository, openTasks } of projects) {
    const where = repository === null ? '' : colors.dim(`  ${printableLine(repository, 80)}`);
    terminal.out(
      `${colors.bold(printableLine(name, 60))}  ${count(openTasks, 'open task')}${where}  ${colors.dim(id)}\n`,
    );
  }
  if (projects.length === 0) terminal.err('No project. Make one: mission project create NAME\n');
  return exitStatus.ok;
}

async function create(context: CommandContext, name: string, options: CreateOptions): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const body = {
    name,
    reviewRequired: options.review,
    ...(options.repo === undefined ? {} : { repository: options.repo }),
    ...(options.check.length === 0 ? {} : { checks: options.check }),
  };
  const project = await client.post('/projects', body, projectView, signal);
  terminal.out(`${json ? JSON.stringify(project) : project.id}\n`);
  return exitStatus.ok;
}

async function remove(context: CommandContext, id: string): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  if (dryRun) {
    terminal.err(`would delete ${id}\n`);
    return exitStatus.ok;
  }
  const answer = await client.delete(`/projects/${id}`, z.object({ deleted: z.literal(true) }), signal);
  if (json) terminal.out(`${JSON.stringify(answer)}\n`);
  else terminal.err('Deleted.\n');
  return exitStatus.ok;
}
