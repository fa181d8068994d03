import { execFile } from 'node:child_process';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { missionHome } from '../connection.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { planService, type ServicePlan, unitName, writeEnvironment } from '../service/unit.ts';

const execute = promisify(execFile);
const commandLimitMs = 90_000;

export function addServiceCommands(program: Command, run: Run): void {
  const service = program.command('service').description('start the server with the machine, by systemd');
  service
    .command('install')
    .description('write a systemd user unit, and start it')
    .option('--dry-run', 'print the unit and where it would go, and do nothing')
    .action((_options: unknown, command: Command) => run(command, install));
  service
    .command('uninstall')
    .description('stop the service and remove its unit; all data stays')
    .option('--dry-run', 'say what would be removed, and do nothing')
    .action((_options: unknown, command: Command) => run(command, uninstall));
  service
    .command('status')
    .description('whether the service is installed and runs')
    .action((_options: unknown, command: Command) => run(command, status));
}

function plan(): ServicePlan {
  const root = join(import.meta.dirname, '..', '..');
  return planService(process.env, { home: missionHome(process.env), node: process.execPath, root });
}

async function install({ terminal, json, dryRun }: CommandContext): Promise<ExitStatus> {
  const { unit, environment, text } = plan();
  if (dryRun) {
    terminal.out(json ? `${JSON.stringify({ unit, environment, text })}\n` : text);
    terminal.err(`would write this to ${unit}, make ${environment} (mode 0600), and start it\n`);
    return exitStatus.ok;
  }
  await requireSystemd();
  const { text: variables, names } = writeEnvironment(process.env);
  const isNew = await writeNew(environment, variables);
  await mkdir(dirname(unit), { recursive: true });
  await writeFile(unit, text, { mode: 0o644 });
  await systemctl('daemon-reload');
  await systemctl('enable', '--now', unitName);
  const told = isNew
    ? `${environment} holds ${names.length === 0 ? 'no variable yet; put the keys of providers there' : names.join(', ')}`
    : `${environment} was there and stays as it is`;
  if (json) terminal.out(`${JSON.stringify({ unit, environment })}\n`);
  else terminal.out(`${unit}\n${told}\n`);
  terminal.err(
    `It starts when you log in. To have it start with the machine and stay when you log out:\n  loginctl enable-linger ${userInfo().username}\n`,
  );
  return exitStatus.ok;
}

async function uninstall({ terminal, json, dryRun }: CommandContext): Promise<ExitStatus> {
  const { unit, environment } = plan();
  if (dryRun) {
    terminal.err(`would stop ${unitName} and remove ${unit}\n`);
    return exitStatus.ok;
  }
  await requireSystemd();
  if (await isThere(unit)) await systemctl('disable', '--now', unitName);
  await rm(unit, { force: true });
  await systemctl('daemon-reload');
  if (json) terminal.out(`${JSON.stringify({ removed: unit })}\n`);
  else terminal.out(`Removed ${unit}. Data and ${environment} stay.\n`);
  return exitStatus.ok;
}

async function status({ terminal, json }: CommandContext): Promise<ExitStatus> {
  const { unit } = plan();
  const installed = await isThere(unit);
  if (installed) await requireSystemd();
  const state = installed ? await stateOf() : 'not installed';
  if (json) terminal.out(`${JSON.stringify({ unit, installed, state })}\n`);
  else terminal.out(`${state}${installed ? `  ${unit}` : '; install it with: mission service install'}\n`);
  return state === 'active' ? exitStatus.ok : exitStatus.failed;
}

/** @throws CommandError where this machine, or this log-in, has no systemd that could take a unit */
async function requireSystemd(): Promise<void> {
  const reason = !(await isThere('/run/systemd/system'))
    ? 'This machine was not started by systemd'
    : await systemctl('show', '--property=Version').then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
  if (reason === null) return;
  throw new CommandError(
    exitStatus.failed,
    `${reason}, so no service can be installed. Start the server with \`mission up\`, or have what starts programs here run it; \`mission service install --dry-run\` prints what a unit would say.`,
  );
}

async function systemctl(...args: string[]): Promise<string> {
  try {
    const { stdout } = await execute('systemctl', ['--user', ...args], { timeout: commandLimitMs });
    return stdout.trim();
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new CommandError(exitStatus.failed, `systemctl --user ${args.join(' ')} failed: ${words}`, {
      cause: error,
    });
  }
}

/** `systemctl is-active` ends with another status where it is not, and prints the state all the same. */
async function stateOf(): Promise<string> {
  return systemctl('show', '--property=ActiveState', '--value', unitName);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** False where the file is there: people have put their keys into it. */
async function writeNew(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
