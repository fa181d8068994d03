import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import {
  type CreateCredentialBody,
  type CredentialView,
  credentialView,
  type GrantScope,
  resealView,
} from '../../contract/credentials.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';

export function addCredentialCommands(program: Command, run: Run): void {
  const credential = program
    .command('credential')
    .description('secrets that agents use without seeing them: added at the edge, for one host each');
  credential
    .command('list')
    .description('the credentials and to whom they are granted; never their secrets')
    .action((_options: unknown, command: Command) => run(command, list));
  credential
    .command('add')
    .description('keep a secret, read from standard input')
    .argument('<name>')
    .requiredOption('--host <host>', 'the one host that it is added for')
    .option('--port <port>', 'another port than 443')
    .option('--header <header>', "the header, with {} for the secret: 'Authorization: Bearer {}'")
    .option('--git <user>', "for git over https: HTTP's Basic with this user, such as x-access-token")
    .option('--insecure', 'also over plain HTTP, where everybody on the way can read it')
    .action((name: string, options: AddOptions, command: Command) =>
      run(command, (context) => add(context, name, options)),
    );
  credential
    .command('rotate')
    .description('put another secret in its place, read from standard input; it holds from the next call on')
    .argument('<name>')
    .action((name: string, _options: unknown, command: Command) =>
      run(command, async (context) => {
        const value = await readSecret(context);
        const path = `${pathOf(name)}/value`;
        return show(context, await context.client.put(path, { value }, credentialView, context.signal));
      }),
    );
  addGrantCommands(credential, run);
  credential
    .command('remove')
    .description('forget a credential with all its grants')
    .argument('<name>')
    .action((name: string, _options: unknown, command: Command) =>
      run(command, async ({ client, terminal, json, signal }) => {
        await client.delete(pathOf(name), credentialView, signal);
        terminal.out(json ? `${JSON.stringify({ removed: name })}\n` : `${name} is removed.\n`);
        return exitStatus.ok;
      }),
    );
  credential
    .command('reseal')
    .description("seal everything anew with the vault's current key, after the old one was put behind it")
    .action((_options: unknown, command: Command) =>
      run(command, async ({ client, terminal, json, signal }) => {
        const done = await client.post('/credentials/reseal', {}, resealView, signal);
        const words = `${done.resealed} sealed anew with ${done.keyId ?? 'no key: nothing is sealed yet'}.\n`;
        terminal.out(json ? `${JSON.stringify(done)}\n` : words);
        return exitStatus.ok;
      }),
    );
}

function addGrantCommands(credential: Command, run: Run): void {
  credential
    .command('grant')
    .description('let an agent use a credential')
    .argument('<name>')
    .requiredOption('--agent <agent>', 'to whom')
    .option('--scope <scope>', 'read: for GET, HEAD and OPTIONS alone; write: for everything', 'write')
    .option('--expires <time>', 'for how long, such as 12h or 7d; for good where it is not given')
    .action((name: string, options: GrantOptions, command: Command) =>
      run(command, async (context) => {
        const { agent, scope, expires } = options;
        const expiresAt = expires === undefined ? null : readDuration(expires);
        const body = { agent, scope, expiresAt };
        const path = `${pathOf(name)}/grants`;
        return show(context, await context.client.put(path, body, credentialView, context.signal));
      }),
    );
  credential
    .command('revoke')
    .description('take a credential from an agent; the next call goes without it')
    .argument('<name>')
    .requiredOption('--agent <agent>', 'from whom')
    .action((name: string, { agent }: { agent: string }, command: Command) =>
      run(command, async ({ client, terminal, json, signal }) => {
        const path = `${pathOf(name)}/grants/${encodeURIComponent(agent)}`;
        await client.delete(path, credentialView, signal);
        const done = { revoked: name, agent };
        terminal.out(json ? `${JSON.stringify(done)}\n` : `${agent} has ${name} no more.\n`);
        return exitStatus.ok;
      }),
    );
}

interface AddOptions {
  host: string;
  port?: string;
  header?: string;
  git?: string;
  insecure?: boolean;
}

interface GrantOptions {
  agent: string;
  scope: GrantScope;
  expires?: string;
}

const pathOf = (name: string) => `/credentials/${encodeURIComponent(name)}`;

async function add(context: CommandContext, name: string, options: AddOptions): Promise<ExitStatus> {
  const { host, port, git, insecure = false } = options;
  const header = git === undefined ? options.header : `Authorization: Basic {basic ${git}}`;
  const value = await readSecret(context);
  const body: Partial<CreateCredentialBody> = {
    name,
    host,
    insecure,
    value,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(header === undefined ? {} : { header }),
  };
  return show(context, await context.client.post('/credentials', body, credentialView, context.signal));
}

/** A flag would stand in the shell's history and in the list of processes. */
async function readSecret({ terminal }: CommandContext): Promise<string> {
  if (process.stdin.isTTY) {
    if (!terminal.interactive) throw noSecret();
    terminal.err('Type or paste the secret, then Enter and Ctrl-D:\n');
  }
  const value = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (value === '') throw noSecret();
  return value;
}

function noSecret(): CommandError {
  return new CommandError(
    exitStatus.usage,
    'The secret is read from standard input: printf %s "$TOKEN" | mission credential add NAME --host HOST',
  );
}

/** @returns the moment that so much time from now is */
function readDuration(given: string): string {
  const [, count, unit] = /^(\d{1,5})([mhdw])$/.exec(given) ?? [];
  const minutes = { m: 1, h: 60, d: 1_440, w: 10_080 }[unit ?? ''];
  if (minutes === undefined) {
    throw new CommandError(
      exitStatus.usage,
      `"${given}" is no time: write 30m, 12h, 7d or 4w (mission credential grant --help)`,
    );
  }
  return new Date(Date.now() + Number(count) * minutes * 60_000).toISOString();
}

function show({ terminal, json }: CommandContext, view: CredentialView): ExitStatus {
  terminal.out(json ? `${JSON.stringify(view)}\n` : `${lineOf(view, (words) => words)}\n`);
  return exitStatus.ok;
}

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const items = await client.list('/credentials', credentialView, signal);
  if (json) {
    terminal.out(`${JSON.stringify({ items })}\n`);
    return exitStatus.ok;
  }
  const { dim } = terminal.style.colors;
  const none =
    'There are no credentials. Add one: printf %s "$TOKEN" | mission credential add NAME --host HOST';
  terminal.out(`${items.length === 0 ? none : items.map((view) => lineOf(view, dim)).join('\n')}\n`);
  return exitStatus.ok;
}

function lineOf(view: CredentialView, dim: (words: string) => string): string {
  const { name, host, port, header, grants } = view;
  const place = port === 443 ? host : `${host}:${port}`;
  const to = grants.map(
    ({ agent, scope, expiresAt, live }) =>
      `${agent} (${scope}${expiresAt === null ? '' : live ? ` until ${expiresAt}` : ', expired'})`,
  );
  const granted = to.length === 0 ? 'granted to nobody' : `granted to ${to.join(', ')}`;
  return `${name}  ${dim(printableLine(`${header} at ${place}; ${granted}`))}`;
}
