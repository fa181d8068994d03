import { type Command, InvalidArgumentError } from 'commander';
import { type AgentLimitsView, agentLimits, agentLimitsView, projectTrust } from '../../contract/limits.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';

interface SetOptions {
  callsPerMinute?: number | 'none';
  callsPerHour?: number | 'none';
  commandsPerHour?: number | 'none';
  dayUsd?: number | 'none';
  tools?: string[] | 'none';
  hosts?: string[] | 'none';
  over?: string;
  outside?: string;
  ordinary?: string;
  learningRuns?: number | 'none';
  factor?: number | 'none';
}

export function addLimitCommands(program: Command, run: Run): void {
  const limit = program
    .command('limit')
    .description('what one agent may use, and what of it is out of the ordinary');
  limit
    .command('show')
    .description("an agent's limits")
    .argument('<agent>')
    .action((agent: string, _options: unknown, command: Command) =>
      run(command, (context) => show(context, agent)),
    );
  limit
    .command('set')
    .description("change an agent's limits; what is not given stays, and `none` takes a limit away")
    .argument('<agent>')
    .option('--calls-per-minute <count>', 'model and tool calls', readLimit)
    .option('--calls-per-hour <count>', 'model and tool calls', readLimit)
    .option('--commands-per-hour <count>', 'commands', readLimit)
    .option('--day-usd <dollars>', 'money in a day', readLimit)
    .option('--tools <names>', 'tools by name or pattern, with commas between them', readNames)
    .option('--hosts <names>', 'hosts, such as *.example.com, with commas between them', readNames)
    .option('--over <rule>', 'over a rate: wait or ask')
    .option('--outside <rule>', 'a tool or host that is not listed: ask or deny')
    .option('--ordinary <rule>', 'out of the ordinary: ask, suspend or off')
    .option('--learning-runs <count>', 'runs that an agent is only learnt from', readLimit)
    .option('--factor <number>', 'how far above the median of its runs is out of the ordinary', readLimit)
    .option('--dry-run', 'say what would be set, and set nothing')
    .action((agent: string, options: SetOptions, command: Command) =>
      run(command, (context) => set(context, agent, options)),
    );
  limit
    .command('trust')
    .description('say of a project that its files are private, or that they may hold the words of strangers')
    .argument('<project>', 'its id')
    .option('--private', 'a run that read them and words of strangers sends nothing on unasked', false)
    .option('--untrusted', 'they may hold the words of strangers', false)
    .option('--dry-run', 'say what would be set, and set nothing')
    .action((project: string, options: { private: boolean; untrusted: boolean }, command: Command) =>
      run(command, (context) => trust(context, project, options)),
    );
}

/** `none` stays a word until the limits are put together: commander takes a null for an empty text. */
function readLimit(text: string): number | 'none' {
  if (text === 'none') return text;
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError('It must be a number, or none.');
}

function readNames(text: string): string[] | 'none' {
  if (text === 'none') return text;
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

async function show(context: CommandContext, agent: string): Promise<ExitStatus> {
  print(context, await read(context, agent));
  return exitStatus.ok;
}

async function set(context: CommandContext, agent: string, options: SetOptions): Promise<ExitStatus> {
  const { client, terminal, dryRun, signal } = context;
  const { limits } = await read(context, agent);
  const given = Object.fromEntries(
    Object.entries(options)
      .filter(([name, value]) => name in limits && value !== undefined)
      .map(([name, value]) => [name, value === 'none' ? null : value]),
  );
  const body = agentLimits.safeParse({ ...limits, ...given });
  if (!body.success)
    throw new CommandError(exitStatus.usage, body.error.issues.map(({ message }) => message).join('; '));
  if (dryRun) {
    terminal.err(`would set ${JSON.stringify(body.data)}\n`);
    return exitStatus.ok;
  }
  print(context, await client.put(pathOf(agent), body.data, agentLimitsView, signal));
  return exitStatus.ok;
}

async function trust(
  { client, terminal, json, dryRun, signal }: CommandContext,
  project: string,
  options: { private: boolean; untrusted: boolean },
): Promise<ExitStatus> {
  const body = { private: options.private, untrusted: options.untrusted };
  const words = `${body.private ? 'private' : 'not private'}, ${body.untrusted ? 'untrusted' : 'trusted'}`;
  if (dryRun) {
    terminal.err(`would set ${project}: ${words}\n`);
    return exitStatus.ok;
  }
  const set = await client.put(`/projects/${encodeURIComponent(project)}/trust`, body, projectTrust, signal);
  terminal.out(json ? `${JSON.stringify(set)}\n` : `${project}: ${words}\n`);
  return exitStatus.ok;
}

function read({ client, signal }: CommandContext, agent: string): Promise<AgentLimitsView> {
  return client.get(pathOf(agent), agentLimitsView, signal);
}

const pathOf = (agent: string) => `/agents/${encodeURIComponent(agent)}/limits`;

function print({ terminal, json }: CommandContext, view: AgentLimitsView): void {
  if (json) {
    terminal.out(`${JSON.stringify(view)}\n`);
    return;
  }
  const { limits, used } = view;
  const none = (value: number | null) => (value === null ? 'no limit' : String(value));
  const names = (list: string[] | null) => (list === null ? 'any' : printableLine(list.join(', ') || 'none'));
  const lines = [
    `${view.agent}`,
    `calls a minute     ${none(limits.callsPerMinute)} (${used.callsLastMinute} now)`,
    `calls an hour      ${none(limits.callsPerHour)} (${used.callsLastHour} now)`,
    `commands an hour   ${none(limits.commandsPerHour)} (${used.commandsLastHour} now)`,
    `dollars a day      ${none(limits.dayUsd)}`,
    `tools              ${names(limits.tools)}`,
    `hosts              ${names(limits.hosts)}`,
    `over a rate        ${limits.over}`,
    `tool or host not listed   ${limits.outside}`,
    `out of the ordinary       ${limits.ordinary} (after ${limits.learningRuns} runs, above ${limits.factor} × the median)`,
  ];
  terminal.out(`${lines.join('\n')}\n`);
}
