import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { createdKey, createKeyBody, type KeyView, keyView } from '../../contract/principals.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { parseOptions } from '../parse-options.ts';
import { printableLine } from '../printable.ts';
import { resolveId } from '../resolve-id.ts';

interface CreateOptions {
  role?: string;
  principal?: string;
  name?: string;
  label?: string;
  scope?: string[];
  project?: string[];
  expires?: number;
}

const collect = (value: string, before: string[] = []) => [...before, value];

export function addKeyCommands(program: Command, run: Run): void {
  const key = program.command('key').description('keys for scripts, services and other people');
  key
    .command('create')
    .description('make a key, and print it: this once and never again')
    .option('--role <role>', 'for a new service with this role: operator, viewer or admin')
    .option('--name <name>', 'the new service’s name, as the log shows it')
    .option('--principal <name>', 'for somebody there is, instead of for yourself')
    .option('--label <text>', 'what the key is for')
    .option('--scope <permissions>', 'only these, such as tasks:read,runs:read', readScopes)
    .option('--project <project>', 'only this project, by id or name; several times for more', collect)
    .option('--expires <time>', 'when it ends by itself, such as 12h or 30d', readSeconds)
    .action((options: CreateOptions, command: Command) =>
      run(command, (context) => create(context, options)),
    );
  key
    .command('list')
    .description('who has which keys, and when they were last used')
    .option('--all', 'revoked and expired ones as well', false)
    .action((options: { all: boolean }, command: Command) =>
      run(command, (context) => list(context, options)),
    );
  key
    .command('revoke')
    .description('end a key now, and what it holds open')
    .argument('<key>', 'its id, not the key itself')
    .action((id: string, _options: unknown, command: Command) =>
      run(command, (context) => revoke(context, id)),
    );
}

async function create(
  { client, terminal, json, signal }: CommandContext,
  options: CreateOptions,
): Promise<ExitStatus> {
  const { scope, project, expires, ...rest } = options;
  const body = parseOptions(createKeyBody, {
    ...pick(rest, ['role', 'name', 'principal', 'label']),
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(project === undefined ? {} : { projects: project }),
    ...(expires === undefined ? {} : { expiresInSeconds: expires }),
  });
  const created = await client.post('/keys', body, createdKey, signal);
  if (json) {
    terminal.out(`${JSON.stringify(created)}\n`);
    return exitStatus.ok;
  }
  terminal.err(`${keyLine(created)}\nKeep it now: it is not shown again.\n`);
  terminal.out(`${created.key}\n`);
  return exitStatus.ok;
}

async function list(
  { client, terminal, json, signal }: CommandContext,
  { all }: { all: boolean },
): Promise<ExitStatus> {
  const keys = await client.list(`/keys?all=${all}`, keyView, signal);
  terminal.out(json ? `${JSON.stringify(keys)}\n` : `${keys.map(keyLine).join('\n')}\n`);
  return exitStatus.ok;
}

async function revoke(
  { client, terminal, json, signal }: CommandContext,
  given: string,
): Promise<ExitStatus> {
  const id = await resolveId(client, 'key', given);
  await client.delete(`/keys/${id}`, z.undefined(), signal);
  terminal.out(json ? `${JSON.stringify({ revoked: id })}\n` : `${id} is revoked.\n`);
  return exitStatus.ok;
}

function keyLine(key: KeyView): string {
  const { id, principal, label, scopes, projects, expiresAt, lastUsedAt, revokedAt } = key;
  const day = (time: string) => time.slice(0, 16).replace('T', ' ');
  return [
    `${id}  ${printableLine(principal.name)} (${principal.role}), ${printableLine(label)}`,
    ...(scopes === null ? [] : [`only ${scopes.join(' ')}`]),
    ...(projects === null ? [] : [`in ${projects.join(' ')}`]),
    ...(revokedAt === null ? [] : [`revoked ${day(revokedAt)}`]),
    ...(expiresAt === null ? [] : [`until ${day(expiresAt)}`]),
    lastUsedAt === null ? 'never used' : `last used ${day(lastUsedAt)}`,
  ].join('; ');
}

function readScopes(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const seconds: Record<string, number> = { m: 60, h: 3_600, d: 86_400 };

function readSeconds(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const size = seconds[unit];
  if (count === undefined || size === undefined)
    throw new InvalidArgumentError('It is a number and m, h or d, such as 30d.');
  return Number(count) * size;
}

function pick(from: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
  );
}
