import type { Command } from 'commander';
import { haltView } from '../../contract/system.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { haltLines } from '../view/status-lines.ts';
import { control } from './runs.ts';

export function addHaltCommands(program: Command, run: Run): void {
  program
    .command('stop')
    .description('end a run for good, at once; with --all stop everything until `mission release`')
    .argument('[run]', 'not with --all')
    .option('--all', 'interrupt every run and start none; nothing is lost', false)
    .option('--reason <words>', 'with --all: why, for everybody who looks', '')
    .option('--dry-run', 'say what would be done, and do nothing')
    .action((given: string | undefined, options: { all: boolean; reason: string }, command: Command) =>
      run(command, (context) => stop(context, given, options)),
    );
  program
    .command('release')
    .description('let runs go on after `mission stop --all`')
    .option('--dry-run', 'say what would be done, and do nothing')
    .action((_options: unknown, command: Command) => run(command, release));
}

async function stop(
  context: CommandContext,
  given: string | undefined,
  { all, reason }: { all: boolean; reason: string },
): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  if (all === (given !== undefined))
    throw new CommandError(exitStatus.usage, 'Name a run, or stop everything with --all.');
  if (given !== undefined) return control(context, 'stop', given);
  if (dryRun) {
    terminal.err('would interrupt every run, and start none until `mission release`\n');
    return exitStatus.ok;
  }
  const view = await client.post('/halt', { reason }, haltView, signal);
  if (json) terminal.out(`${JSON.stringify(view)}\n`);
  else if (view.halted !== null) terminal.out(`${haltLines(view.halted, terminal.style).join('\n')}\n`);
  return exitStatus.ok;
}

async function release({ client, terminal, json, dryRun, signal }: CommandContext): Promise<ExitStatus> {
  if (dryRun) {
    terminal.err('would let every run go on\n');
    return exitStatus.ok;
  }
  const view = await client.delete('/halt', haltView, signal);
  if (json) terminal.out(`${JSON.stringify(view)}\n`);
  else terminal.err('Released: runs go on where they were.\n');
  return exitStatus.ok;
}
