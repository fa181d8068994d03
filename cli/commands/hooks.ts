import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import {
  type CreatedHook,
  createdHook,
  createHookBody,
  type HookView,
  hookDeliveryView,
  hookScheme,
  hookView,
} from '../../contract/hooks.ts';
import { readConnection } from '../connection.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { parseOptions } from '../parse-options.ts';
import { printableLine } from '../printable.ts';

export function addHookCommands(program: Command, run: Run): void {
  const hook = program
    .command('hook')
    .description('addresses at which others give tasks, each delivery signed by a secret');
  hook
    .command('list')
    .description('the hooks, and what their tasks are made of')
    .action((_options: unknown, command: Command) => run(command, list));
  addAddCommand(hook, run);
  hook
    .command('rotate')
    .description('make a new secret, and print it this once; the old one is good for a day more')
    .argument('<hook>', 'its name or id')
    .option('--secret', 'read the new secret from standard input, where the sender made it', false)
    .action((given: string, { secret }: { secret: boolean }, command: Command) =>
      run(command, async (context) => {
        const { id } = await find(context, given);
        const body = secret ? { secret: await readSecret(context) } : {};
        const path = `/hooks/${id}/rotate-secret`;
        return showSecret(context, await context.client.post(path, body, createdHook, context.signal));
      }),
    );
  for (const [name, status, description] of [
    ['disable', 'disabled', 'refuse every delivery until it is enabled again'],
    ['enable', 'active', 'take deliveries again'],
  ] as const) {
    hook
      .command(name)
      .description(description)
      .argument('<hook>', 'its name or id')
      .action((given: string, _options: unknown, command: Command) =>
        run(command, async (context) => {
          const { id } = await find(context, given);
          return show(
            context,
            await context.client.patch(`/hooks/${id}`, { status }, hookView, context.signal),
          );
        }),
      );
  }
  hook
    .command('remove')
    .description('remove a hook; its tasks stay')
    .argument('<hook>', 'its name or id')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, async (context) => {
        const { client, terminal, json, signal } = context;
        const { id, name } = await find(context, given);
        await client.delete(`/hooks/${id}`, z.undefined(), signal);
        terminal.out(json ? `${JSON.stringify({ removed: id })}\n` : `${name} is removed.\n`);
        return exitStatus.ok;
      }),
    );
  hook
    .command('deliveries')
    .description('what came in, and what was refused and why')
    .argument('<hook>', 'its name or id')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, (context) => listDeliveries(context, given)),
    );
}

interface AddOptions {
  project: string;
  scheme: string;
  title: string;
  instructions: string;
  only?: Record<string, string[]>;
  assignee?: string;
  priority?: string;
  model?: string;
  branch?: string;
  usd?: number;
  secret: boolean;
}

function addAddCommand(hook: Command, run: Run): void {
  hook
    .command('add')
    .description('register a hook, and print its secret: this once and never again')
    .argument('<name>')
    .requiredOption('--project <project>', 'whose tasks it makes, by name or id')
    .addOption(
      new Option('--scheme <scheme>', 'how the sender signs')
        .choices(hookScheme.options)
        .default('standard-webhooks'),
    )
    .requiredOption('--title <text>', "of its tasks: 'Issue {{issue.number}}: {{issue.title}}'")
    .requiredOption('--instructions <text>', 'of its tasks; {{…}} names a field of the JSON that is sent')
    .option(
      '--only <field=values>',
      'only where it has one of these values: action=opened,reopened',
      readOnly,
    )
    .option('--assignee <agent>', 'who does them')
    .option('--priority <priority>', 'low, medium, high or critical')
    .option('--model <model>', 'which model works on them')
    .option('--branch <branch>', 'from which branch')
    .option('--usd <amount>', 'what each of them may spend', Number)
    .option('--secret', 'read the secret from standard input, where the sender made it', false)
    .action((name: string, options: AddOptions, command: Command) =>
      run(command, (context) => add(context, name, options)),
    );
}

function readOnly(given: string, before: Record<string, string[]> = {}): Record<string, string[]> {
  const at = given.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be a field and its values: action=opened,reopened');
  return { ...before, [given.slice(0, at)]: given.slice(at + 1).split(',') };
}

async function add(context: CommandContext, name: string, options: AddOptions): Promise<ExitStatus> {
  const { assignee, priority, model, branch, usd, secret, ...rest } = options;
  const task = given({ assignee, priority, model, branch, budget: usd === undefined ? undefined : { usd } });
  const { project, scheme, title, instructions, only } = rest;
  const body = parseOptions(
    createHookBody,
    given({
      ...{ name, project, scheme, title, instructions, only, task },
      secret: secret ? await readSecret(context) : undefined,
    }),
  );
  return showSecret(context, await context.client.post('/hooks', body, createdHook, context.signal));
}

/** Without what was not given. */
function given(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** A flag's value would stand in the shell's history and in the list of processes. */
async function readSecret({ terminal }: CommandContext): Promise<string> {
  if (process.stdin.isTTY && terminal.interactive)
    terminal.err('Type or paste the secret, then Enter and Ctrl-D:\n');
  const value = process.stdin.isTTY && !terminal.interactive ? '' : (await text(process.stdin)).trim();
  if (value !== '') return value;
  throw new CommandError(
    exitStatus.usage,
    'The secret is read from standard input: printf %s "$SECRET" | mission hook add NAME --secret …',
  );
}

async function find({ client, signal }: CommandContext, wanted: string): Promise<HookView> {
  const hooks = await client.list('/hooks?limit=1000', hookView, signal);
  const found = hooks.filter(({ id, name }) => id === wanted || name === wanted);
  const [only] =
    found.length > 0 ? found : hooks.filter(({ id }) => wanted.length > 3 && id.endsWith(wanted));
  if (only !== undefined) return only;
  throw new CommandError(exitStatus.refused, `There is no hook "${wanted}". See: mission hook list`, {
    code: 'not_found',
  });
}

async function showSecret(
  { client, terminal, json }: CommandContext,
  hook: CreatedHook,
): Promise<ExitStatus> {
  if (json) {
    terminal.out(`${JSON.stringify(hook)}\n`);
    return exitStatus.ok;
  }
  const url = (await readConnection(client.home))?.url ?? '';
  const until = hook.rotatingUntil === null ? '' : ` The one before is good until ${hook.rotatingUntil}.`;
  terminal.err(
    `${hook.name} takes deliveries at ${url}${hook.path}\nIts secret follows. Keep it now: it is not shown again.${until}\n`,
  );
  terminal.out(`${hook.secret}\n`);
  return exitStatus.ok;
}

function show({ terminal, json }: CommandContext, hook: HookView): ExitStatus {
  terminal.out(json ? `${JSON.stringify(hook)}\n` : `${lineOf(hook)}\n`);
  return exitStatus.ok;
}

function lineOf({ id, name, scheme, project, title, status }: HookView): string {
  const off = status === 'active' ? '' : `; ${status}`;
  return `${id}  ${printableLine(name)} (${scheme}) in ${project}: ${printableLine(title, 80)}${off}`;
}

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const hooks = await client.list('/hooks?limit=1000', hookView, signal);
  const none = 'Nobody else gives tasks. Let somebody with: mission hook add';
  const lines = hooks.length === 0 ? [none] : hooks.map(lineOf);
  terminal.out(json ? `${JSON.stringify(hooks)}\n` : `${lines.join('\n')}\n`);
  return exitStatus.ok;
}

async function listDeliveries(context: CommandContext, wanted: string): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const { id } = await find(context, wanted);
  const deliveries = await client.list(`/hooks/${id}/deliveries?limit=50`, hookDeliveryView, signal);
  const lines = deliveries.map(({ at, status, task, reason, times, senderId }) => {
    const why = task ?? printableLine(reason ?? '', 200);
    const more = times > 1 ? ` (${times} times)` : '';
    return `${at}  ${status.padEnd(8)}  ${why}${more}${senderId === null ? '' : `  ${printableLine(senderId, 60)}`}`;
  });
  terminal.out(
    json
      ? `${JSON.stringify(deliveries)}\n`
      : `${(lines.length === 0 ? ['Nothing came yet.'] : lines).join('\n')}\n`,
  );
  return exitStatus.ok;
}
