import type { Command } from 'commander';
import {
  createPrincipalBody,
  type PrincipalView,
  principalView,
  updatePrincipalBody,
} from '../../contract/principals.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { parseOptions } from '../parse-options.ts';
import { printableLine } from '../printable.ts';

interface Options {
  role?: string;
  kind?: string;
  project?: string[];
  allProjects?: boolean;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export function addPrincipalCommands(program: Command, run: Run): void {
  const principal = program
    .command('principal')
    .description('people and services: who may do what, and where');
  principal
    .command('list')
    .description('everybody, with their role and projects')
    .action((_options: unknown, command: Command) => run(command, list));
  principal
    .command('add')
    .description('add a person; give them a password (mission password set) or a key (mission key create)')
    .argument('<name>')
    .requiredOption('--role <role>', 'operator, viewer or admin')
    .option('--kind <kind>', 'human or service', 'human')
    .option('--project <project>', 'only this project, by id or name; several times for more', collect)
    .action((name: string, options: Options, command: Command) =>
      run(command, (context) => add(context, name, options)),
    );
  principal
    .command('set')
    .description('change a role or projects; what they hold open ends')
    .argument('<name>')
    .option('--role <role>', 'operator, viewer or admin')
    .option('--project <project>', 'only this project; several times for more', collect)
    .option('--all-projects', 'all projects')
    .action((name: string, options: Options, command: Command) =>
      run(command, (context) => set(context, name, options)),
    );
  for (const [verb, disabled, description] of [
    ['disable', true, 'keep somebody out: their keys and sessions hold no longer'],
    ['enable', false, 'let somebody in again'],
  ] as const)
    principal
      .command(verb)
      .description(description)
      .argument('<name>')
      .action((name: string, _options: unknown, command: Command) =>
        run(command, (context) => change(context, name, { disabled })),
      );
}

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const principals = await client.list('/principals', principalView, signal);
  terminal.out(json ? `${JSON.stringify(principals)}\n` : `${principals.map(lineOf).join('\n')}\n`);
  return exitStatus.ok;
}

async function add(context: CommandContext, name: string, options: Options): Promise<ExitStatus> {
  const { role, kind, project = null } = options;
  const body = parseOptions(createPrincipalBody, { name, role, kind, projects: project });
  const { client, signal } = context;
  return show(context, await client.post('/principals', body, principalView, signal));
}

function set(context: CommandContext, name: string, options: Options): Promise<ExitStatus> {
  const { role, project, allProjects = false } = options;
  const projects = allProjects ? null : project;
  return change(context, name, {
    ...(role === undefined ? {} : { role }),
    ...(projects === undefined ? {} : { projects }),
  });
}

async function change(context: CommandContext, name: string, given: unknown): Promise<ExitStatus> {
  const body = parseOptions(updatePrincipalBody, given);
  const { client, signal } = context;
  const path = `/principals/${encodeURIComponent(name)}`;
  return show(context, await client.patch(path, body, principalView, signal));
}

function show({ terminal, json }: CommandContext, principal: PrincipalView): ExitStatus {
  terminal.out(json ? `${JSON.stringify(principal)}\n` : `${lineOf(principal)}\n`);
  return exitStatus.ok;
}

function lineOf({ name, kind, role, projects, disabled, hasPassword }: PrincipalView): string {
  return [
    `${printableLine(name)}  ${kind}, ${role}`,
    projects === null ? 'all projects' : `${projects.length === 0 ? 'no project' : projects.join(' ')}`,
    ...(hasPassword ? ['has a password'] : []),
    ...(disabled ? ['disabled'] : []),
  ].join('; ');
}
