import type { Command } from 'commander';
import { type AgentView, agentView, registeredAgent } from '../../contract/agents.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';
import { count } from '../view/format.ts';
import { statusWord } from '../view/run-lines.ts';

interface RegisterOptions {
  skill: string[];
  capacity?: string;
}

export function addAgentCommands(program: Command, run: Run): void {
  const agent = program
    .command('agent')
    .description('list agents, register a foreign one, suspend one, or let it work again');
  agent
    .command('list')
    .description('agents, and whether they work')
    .action((_options: unknown, command: Command) => run(command, list));
  agent
    .command('register')
    .description('register a program elsewhere that claims tasks; prints its key, once')
    .argument('<name>')
    .option('--skill <name>', 'what it can do; may be repeated', gather, [])
    .option('--capacity <number>', 'how many tasks it holds at once; 1 otherwise')
    .action((name: string, options: RegisterOptions, command: Command) =>
      run(command, (context) => register(context, name, options)),
    );
  for (const [verb, what] of [
    ['suspend', 'let an agent claim nothing, and pause its runs'],
    ['resume', 'let a suspended agent work again'],
  ] as const) {
    agent
      .command(verb)
      .description(what)
      .argument('<agent>', 'its name or identifier')
      .option('--dry-run', 'say what would be done, and do nothing')
      .action((name: string, _options: unknown, command: Command) =>
        run(command, (context) => steer(context, name, verb)),
      );
  }
}

const gather = (value: string, before: string[]) => [...before, value];

async function list(context: CommandContext): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const agents = await client.list('/agents', agentView, signal);
  if (json) terminal.out(`${JSON.stringify(agents)}\n`);
  else for (const agent of agents) terminal.out(`${agentLine(context, agent)}\n`);
  return exitStatus.ok;
}

async function register(
  context: CommandContext,
  name: string,
  options: RegisterOptions,
): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const body = {
    name,
    ...(options.skill.length === 0 ? {} : { skills: options.skill }),
    ...(options.capacity === undefined ? {} : { capacity: Number(options.capacity) }),
  };
  const registered = await client.post('/agents/register', body, registeredAgent, signal);
  terminal.out(`${json ? JSON.stringify(registered) : (registered.key ?? '')}\n`);
  if (!json) terminal.err('This is its key, shown this once: give it to the agent as MISSION_KEY.\n');
  return exitStatus.ok;
}

async function steer(context: CommandContext, name: string, verb: 'suspend' | 'resume'): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  if (dryRun) {
    terminal.err(`would ${verb} ${name}\n`);
    return exitStatus.ok;
  }
  const agent = await client.post(`/agents/${encodeURIComponent(name)}/${verb}`, {}, agentView, signal);
  terminal.out(`${json ? JSON.stringify(agent) : agentLine(context, agent)}\n`);
  return exitStatus.ok;
}

function agentLine({ terminal: { style } }: CommandContext, agent: AgentView): string {
  const { colors } = style;
  const facts = [
    agent.runtime,
    agent.runs === 0 ? '' : count(agent.runs, 'run'),
    agent.suspendedBy === null ? '' : `suspended by ${printableLine(agent.suspendedBy, 40)}`,
    agent.skills.length === 0 ? '' : printableLine(agent.skills.join(', '), 60),
  ];
  const dim = colors.dim(`${facts.filter(Boolean).join(' · ')}  ${agent.id}`);
  return `${statusWord(agent.status, colors)}  ${colors.bold(printableLine(agent.name, 60))}  ${dim}`;
}
