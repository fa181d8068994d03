import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { loginLink } from '../../contract/sessions.ts';
import { type Finding, finding, statusView } from '../../contract/system.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { findingLines, statusLines } from '../view/status-lines.ts';

export function addSystemCommands(program: Command, run: Run): void {
  program
    .command('up')
    .description('start the server here, until Ctrl-C')
    .option('--unsafe-no-sandbox', 'run agents’ commands without a sandbox, with all that you can do')
    .option('--roles <roles>', 'only some of its parts: api, worker, or api,worker')
    .action((options: { unsafeNoSandbox?: boolean; roles?: string }, command: Command) =>
      run(command, (context) => up(context, options)),
    );
  program
    .command('status')
    .description('what runs, what waits for you, what is ready')
    .action((_options: unknown, command: Command) => run(command, status));
  program
    .command('login')
    .description('a link that opens the dashboard, once, within a quarter of an hour')
    .action((_options: unknown, command: Command) => run(command, login));
  program
    .command('doctor')
    .description('what is missing, and the line that mends it')
    .option('--test', 'call the agents’ model once, for real; it costs a few tokens')
    .action((options: { test?: boolean }, command: Command) =>
      run(command, (context) => doctor(context, options.test ?? false)),
    );
}

/** With --json the server's own lines go to stderr: stdout stays for data. */
async function up(
  { json, signal }: CommandContext,
  { unsafeNoSandbox = false, roles }: { unsafeNoSandbox?: boolean; roles?: string },
): Promise<ExitStatus> {
  const main = join(import.meta.dirname, '..', '..', 'server', 'main.ts');
  const args = [
    ...(unsafeNoSandbox ? ['--unsafe-no-sandbox'] : []),
    ...(roles === undefined ? [] : ['--roles', roles]),
  ];
  const server = spawn(process.execPath, [main, ...args], {
    stdio: ['inherit', json ? 2 : 'inherit', 'inherit'],
  });
  // In a terminal Ctrl-C has reached the server too; where only this process was told, it must be passed on.
  const forward = () => {
    if (!process.stdin.isTTY) server.kill('SIGTERM');
  };
  signal.addEventListener('abort', forward, { once: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => resolve(code === 0 ? exitStatus.ok : exitStatus.failed));
  });
}

async function status({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const view = await client.get('/status', statusView, signal);
  if (json) terminal.out(`${JSON.stringify(view)}\n`);
  else terminal.out(`${statusLines(view, terminal.style, new Date()).join('\n')}\n`);
  return exitStatus.ok;
}

async function login({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const link = await client.post('/login-links', {}, loginLink, signal);
  terminal.out(json ? `${JSON.stringify(link)}\n` : `${link.url}\n`);
  return exitStatus.ok;
}

async function doctor(context: CommandContext, test: boolean): Promise<ExitStatus> {
  const { terminal, json } = context;
  const { findings, exit } = await examine(context, test);
  if (json) terminal.out(`${JSON.stringify({ findings })}\n`);
  else terminal.out(`${findingLines(findings, terminal.style).join('\n')}\n`);
  return exit;
}

/** The server examines itself; where it does not answer, what can be seen from here is told. */
async function examine(
  { client, signal }: CommandContext,
  test: boolean,
): Promise<{ findings: Finding[]; exit: ExitStatus }> {
  try {
    const { findings } = await client.get(
      test ? '/doctor?test=true' : '/doctor',
      z.object({ findings: z.array(finding) }),
      signal,
    );
    const failed = findings.some(({ state }) => state === 'failed');
    return { findings, exit: failed ? exitStatus.failed : exitStatus.ok };
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitStatus.unreachable) throw error;
    const server: Finding = { name: 'server', state: 'failed', detail: error.message, mend: 'mission up' };
    return {
      findings: [server, ...(await examineMachine(process.env.PATH ?? ''))],
      exit: exitStatus.unreachable,
    };
  }
}

const programs = [
  { name: 'git', program: 'git', mend: 'apt-get install -y git' },
  { name: 'sandbox', program: 'bwrap', mend: 'apt-get install -y bubblewrap' },
  { name: 'limits', program: 'prlimit', mend: 'apt-get install -y util-linux' },
];

async function examineMachine(path: string): Promise<Finding[]> {
  // With containers the walls are the engine's, which only the server can ask.
  const inContainers = process.env.MISSION_SANDBOX === 'container';
  const needed = programs.filter(({ program }) => !(inContainers && program === 'bwrap'));
  const found = await Promise.all(needed.map(({ program }) => isOnPath(program, path)));
  return needed.map(({ name, program, mend }, index) =>
    found[index]
      ? { name, state: 'ok', detail: `${program} is there`, mend: null }
      : { name, state: 'failed', detail: `${program} is missing`, mend },
  );
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  const tries = path.split(delimiter).map((folder) => access(join(folder, program), constants.X_OK));
  return (await Promise.allSettled(tries)).some(({ status: end }) => end === 'fulfilled');
}
