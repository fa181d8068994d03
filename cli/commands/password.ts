import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { z } from 'zod';
import { newPassword, principalView } from '../../contract/principals.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';

export function addPasswordCommands(program: Command, run: Run): void {
  const password = program
    .command('password')
    .description('logging in to the dashboard by name and password');
  password
    .command('set')
    .description('set a password, asked for here or read from standard input; other sessions end')
    .option('--principal <name>', 'somebody else’s, instead of your own')
    .action((options: { principal?: string }, command: Command) =>
      run(command, (context) => set(context, options.principal)),
    );
}

async function set(context: CommandContext, principal: string | undefined): Promise<ExitStatus> {
  const { client, terminal, json, signal } = context;
  const chosen = newPassword.safeParse(await readPassword(context));
  if (!chosen.success) {
    const reasons = chosen.error.issues.map(({ message }) => message);
    throw new CommandError(exitStatus.usage, `The password ${reasons.join(', ')}.`);
  }
  const me = await client.get('/principals/me', principalView, signal);
  const path = `/principals/${encodeURIComponent(principal ?? me.id)}/password`;
  await client.put(path, { password: chosen.data }, z.undefined(), signal);
  const name = principal ?? me.name;
  terminal.out(
    json ? `${JSON.stringify({ principal: name })}\n` : `${name} logs in with this password from now on.\n`,
  );
  return exitStatus.ok;
}

/** Never from an argument, which every process of the machine could read. */
async function readPassword({ terminal, noInput, signal }: CommandContext): Promise<string> {
  if (!process.stdin.isTTY) return (await text(process.stdin)).replace(/\r?\n$/, '');
  if (noInput || !terminal.interactive)
    throw new CommandError(exitStatus.usage, 'Give the password on standard input.');
  const first = await askHidden('New password: ', signal);
  if (first !== (await askHidden('The same again: ', signal)))
    throw new CommandError(exitStatus.usage, 'The two are not the same. Nothing was changed.');
  return first;
}

/** Asks on stderr and shows nothing of what is typed. */
async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const answered = Promise.withResolvers<string>();
  const stop = () => answered.reject(new CommandError(exitStatus.interrupted, 'interrupted'));
  lines.once('line', answered.resolve);
  lines.once('SIGINT', stop);
  lines.once('close', stop);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await answered.promise;
  } finally {
    signal.removeEventListener('abort', stop);
    lines.close();
    process.stderr.write('\n');
  }
}
