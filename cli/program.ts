import { Command, CommanderError } from 'commander';
import { Client } from './client.ts';
import { addAgentCommands } from './commands/agents.ts';
import { addAskCommands } from './commands/asks.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addBudgetCommands } from './commands/budgets.ts';
import { addChangeCommands } from './commands/changes.ts';
import { addCredentialCommands } from './commands/credentials.ts';
import { addEgressCommands } from './commands/egress.ts';
import { addHaltCommands } from './commands/halt.ts';
import { addHookCommands } from './commands/hooks.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addLimitCommands } from './commands/limits.ts';
import { addNotifyCommands } from './commands/notify.ts';
import { addPasswordCommands } from './commands/password.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addPrincipalCommands } from './commands/principals.ts';
import { addProjectCommands } from './commands/projects.ts';
import { addRunCommands } from './commands/runs.ts';
import { addServiceCommands } from './commands/service.ts';
import { addSystemCommands } from './commands/system.ts';
import { addTaskCommands } from './commands/tasks.ts';
import { missionHome } from './connection.ts';
import type { CommandContext, Run } from './context.ts';
import { CommandError, type ExitStatus, exitStatus } from './exit-status.ts';
import { openTerminal } from './terminal.ts';

const exitHelp = `
Exit status:
  0    it worked; for run and watch: the run succeeded
  1    it failed; for run and watch: the run failed or was stopped
  2    the command line is wrong
  3    the server cannot be reached
  4    the server refused, or there is no such thing
  5    with --no-input: the run waits for a person
  130  ended by Ctrl-C; a watched run goes on

Identifiers may be given by their last 4 characters or more.
MISSION_HOME (default ~/.mission-control) says which server; NO_COLOR turns colours off.`;

/** @returns the exit status */
export async function createProgram(args: string[]): Promise<number> {
  let status: number = exitStatus.ok;
  const run: Run = async (command, work) => {
    status = await inContext(command, work);
  };
  const program = new Command('mission')
    .description('Mission Control in the terminal: give a task, watch it, review what came of it.')
    .showHelpAfterError('(mission --help tells the commands)')
    .addHelpText('after', exitHelp)
    .exitOverride()
    .configureOutput({ writeErr: (text) => void process.stderr.write(text) });
  addSystemCommands(program, run);
  addRunCommands(program, run);
  addTaskCommands(program, run);
  addProjectCommands(program, run);
  addAgentCommands(program, run);
  addHaltCommands(program, run);
  addAskCommands(program, run);
  addPolicyCommands(program, run);
  addChangeCommands(program, run);
  addBudgetCommands(program, run);
  addLimitCommands(program, run);
  addPrincipalCommands(program, run);
  addKeyCommands(program, run);
  addPasswordCommands(program, run);
  addNotifyCommands(program, run);
  addHookCommands(program, run);
  addCredentialCommands(program, run);
  addEgressCommands(program, run);
  addAuditCommands(program, run);
  addBackupCommands(program, run);
  addServiceCommands(program, run);
  for (const command of everyCommand(program)) addCommonOptions(command);
  try {
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitStatus.ok : exitStatus.usage;
  }
}

function everyCommand(program: Command): Command[] {
  return program.commands.flatMap((command) =>
    command.commands.length > 0 ? everyCommand(command) : [command],
  );
}

function addCommonOptions(command: Command): void {
  command
    .option('--json', 'print JSON on stdout; run and watch: one object a line', false)
    .option('--no-input', 'never ask; end with status 5 where a person is needed')
    .option('--no-color', 'print without colours')
    .exitOverride();
}

async function inContext(
  command: Command,
  work: (context: CommandContext) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const options: { json?: boolean; input?: boolean; color?: boolean; dryRun?: boolean } = command.opts();
  const json = options.json ?? false;
  const terminal = openTerminal({ color: options.color ?? true, input: options.input ?? true });
  const interruption = new AbortController();
  const interrupt = () => {
    if (interruption.signal.aborted) return;
    interruption.abort(new CommandError(exitStatus.interrupted, 'interrupted'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await work({
      client: new Client(missionHome(process.env)),
      terminal,
      json,
      noInput: options.input === false,
      dryRun: options.dryRun ?? false,
      signal: interruption.signal,
      interrupt,
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const { message, code, exit } = error;
    if (json) terminal.err(`${JSON.stringify({ error: { code, message, exit } })}\n`);
    else if (message !== 'interrupted') terminal.err(`mission: ${message}\n`);
    return exit;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
