import { spawn } from 'node:child_process';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';

export function addBackupCommands(program: Command, run: Run): void {
  program
    .command('backup')
    .description('write all that the server knows into a file, while work goes on')
    .argument('<file>')
    .action((file: string, _options: unknown, command: Command) =>
      run(command, (context) => backup(context, resolve(file))),
    );
  program
    .command('restore')
    .description('bring a backup back, into an empty database; the server must not run')
    .argument('<file>')
    .action((file: string, _options: unknown, command: Command) =>
      run(command, (context) => restore(context, resolve(file))),
    );
}

/** The file appears whole or not at all. */
async function backup({ client, terminal, json, signal }: CommandContext, file: string): Promise<ExitStatus> {
  const partial = `${file}.partial`;
  await refuseExisting(file);
  const response = await client.open('/backup', signal);
  if (response.body === null) throw new CommandError(exitStatus.failed, 'The server sent no backup.');
  try {
    await using handle = await open(partial, 'w', 0o600);
    for await (const piece of response.body) await handle.writeFile(piece);
    await handle.sync();
  } catch (error) {
    await rm(partial, { force: true });
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(exitStatus.failed, `The backup was not written: ${reason}`, { cause: error });
  }
  await rename(partial, file);
  const { size } = await stat(file);
  const secrets =
    'Secrets are sealed in it; the key (vault.key in MISSION_HOME, or MISSION_VAULT_KEY) is not: keep it too.';
  if (json) terminal.out(`${JSON.stringify({ file, size })}\n`);
  else terminal.out(`${file}, ${(size / 1024 ** 2).toFixed(1)} MiB\n`);
  terminal.err(`${secrets}\n`);
  return exitStatus.ok;
}

async function refuseExisting(file: string): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  throw new CommandError(exitStatus.usage, `${file} is there already; name a new file.`);
}

/** The server's own program does it: nothing answers over HTTP meanwhile. */
async function restore({ json }: CommandContext, file: string): Promise<ExitStatus> {
  const program = join(import.meta.dirname, '..', '..', 'server', 'restore.ts');
  const child = spawn(process.execPath, [program, file], {
    stdio: ['ignore', json ? 2 : 'inherit', 'inherit'],
  });
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => done(code === 0 ? exitStatus.ok : exitStatus.failed));
  });
}
