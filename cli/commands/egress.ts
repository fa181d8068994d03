import { type Command, InvalidArgumentError } from 'commander';
import {
  type EgressListView,
  egressListView,
  egressPreset,
  egressRequestView,
  egressRule,
} from '../../contract/egress.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';

export function addEgressCommands(program: Command, run: Run): void {
  const egress = program
    .command('egress')
    .description("which hosts agents' commands may reach, and what they asked for");
  egress
    .command('list')
    .description('the allow-lists; who has none reaches nothing')
    .action((_options: unknown, command: Command) => run(command, list));
  for (const [name, description] of [
    ['allow', 'let an agent, or a project, reach hosts or presets (npm, pypi, crates, go, debian, github)'],
    ['refuse', 'take hosts or presets off a list again'],
  ] as const) {
    egress
      .command(name)
      .description(description)
      .argument('<host-or-preset...>')
      .option('--agent <agent>', 'whose list')
      .option('--project <project>', 'whose list')
      .option('--port <port...>', 'other ports than 443 and 80', readPorts)
      .option('--method <method...>', 'these methods alone')
      .option('--path <prefix>', 'below this path alone')
      .option('--websocket', 'WebSockets too')
      .option('--no-inspect', 'pass TLS through unread, for clients that pin certificates')
      .option('--private', 'though it is in a private network')
      .action((hosts: string[], options: ListOptions, command: Command) =>
        run(command, (context) => change(context, name, hosts, options)),
      );
  }
  egress
    .command('log')
    .description('the newest requests, and what became of them')
    .option('--run <run>', 'of one run')
    .option('--agent <agent>', 'of one agent')
    .option('--decision <decision>', 'allowed, refused or stopped')
    .action((options: Record<string, string | undefined>, command: Command) =>
      run(command, (context) => showLog(context, options)),
    );
}

interface ListOptions {
  agent?: string;
  project?: string;
  port?: number[];
  method?: string[];
  path?: string;
  websocket?: boolean;
  inspect: boolean;
  private?: boolean;
}

function readPorts(text: string, before: number[] = []): number[] {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return [...before, port];
  throw new InvalidArgumentError('A port is a number from 1 to 65535.');
}

async function change(
  context: CommandContext,
  act: 'allow' | 'refuse',
  given: string[],
  options: ListOptions,
): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const path = pathOf(options);
  const known = await client.get(path, egressListView, signal);
  const names = given.map((name) => name.toLowerCase());
  const presets = names.flatMap((name) => egressPreset.safeParse(name).data ?? []);
  const hosts = names.filter((name) => !egressPreset.safeParse(name).success);
  const body = {
    presets: known.presets.filter((preset) => !presets.includes(preset)),
    rules: known.rules.filter(({ host }) => !hosts.includes(host)),
  };
  if (act === 'allow') {
    body.presets.push(...presets);
    body.rules.push(...hosts.map((host) => ruleOf(host, options)));
  }
  const view = await client.put(path, body, egressListView, signal);
  terminal.out(json ? `${JSON.stringify(view)}\n` : `${lineOf(view)}\n`);
  return exitStatus.ok;
}

function ruleOf(host: string, options: ListOptions) {
  const { port, method, path, websocket = false, inspect, private: isPrivate = false } = options;
  const parsed = egressRule.safeParse({
    host,
    ...(port === undefined ? {} : { ports: port }),
    methods: method?.map((name) => name.toUpperCase()) ?? null,
    pathPrefix: path ?? null,
    websocket,
    inspect,
    private: isPrivate,
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CommandError(exitStatus.usage, `${host}: ${issue?.path.join('.')}: ${issue?.message}`);
}

function pathOf({ agent, project }: ListOptions): string {
  if ((agent === undefined) === (project === undefined))
    throw new CommandError(exitStatus.usage, 'Say whose list it is: --agent NAME or --project NAME');
  return agent === undefined
    ? `/egress/project/${encodeURIComponent(project ?? '')}`
    : `/egress/agent/${encodeURIComponent(agent)}`;
}

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const items = await client.list('/egress', egressListView, signal);
  if (json) {
    terminal.out(`${JSON.stringify({ items })}\n`);
    return exitStatus.ok;
  }
  const none =
    'No agent reaches anything. Allow a host: mission egress allow api.example.com --agent developer';
  terminal.out(`${items.length === 0 ? none : items.map(lineOf).join('\n')}\n`);
  return exitStatus.ok;
}

function lineOf({ scope, name, presets, rules }: EgressListView): string {
  const hosts = rules.map(({ host, methods, pathPrefix }) =>
    [host, pathPrefix ?? '', methods === null ? '' : ` (${methods.join(', ')})`].join(''),
  );
  return printableLine(`${scope} ${name}: ${[...presets, ...hosts].join(', ') || 'nothing'}`);
}

async function showLog(
  { client, terminal, json, signal }: CommandContext,
  { run, agent, decision }: Record<string, string | undefined>,
): Promise<ExitStatus> {
  const query = new URLSearchParams({ limit: '100' });
  for (const [name, value] of Object.entries({ run, agent, decision }))
    if (value !== undefined) query.set(name, value);
  const items = await client.list(`/egress/requests?${query}`, egressRequestView, signal);
  if (json) {
    terminal.out(`${JSON.stringify({ items })}\n`);
    return exitStatus.ok;
  }
  const { dim, red } = terminal.style.colors;
  const lines = items.toReversed().map((one) => {
    const words = `${one.method} ${one.host}:${one.port}${one.path}`;
    const end = one.decision === 'allowed' ? dim(String(one.status ?? '')) : red(one.decision);
    return `${dim(one.at)}  ${printableLine(words)}  ${end}  ${dim(printableLine(one.reason ?? ''))}`;
  });
  terminal.out(`${lines.length === 0 ? 'Nothing was asked for.' : lines.join('\n')}\n`);
  return exitStatus.ok;
}
