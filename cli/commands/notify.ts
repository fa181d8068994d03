import type { Command } from 'commander';
import { deliveryView, notificationTested, notificationView } from '../../contract/notifications.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';

export function addNotifyCommands(program: Command, run: Run): void {
  const notify = program.command('notify').description('who is told when somebody is needed, and how');
  notify
    .command('list')
    .description('the notifications that are set, and what could not be delivered')
    .action((_options: unknown, command: Command) => run(command, list));
  notify
    .command('test')
    .description('send a test now')
    .argument('<name>')
    .action((name: string, _options: unknown, command: Command) =>
      run(command, (context) => test(context, name)),
    );
}

async function list({ client, terminal, json, signal }: CommandContext): Promise<ExitStatus> {
  const notifications = await client.list('/notifications', notificationView, signal);
  const dead = await client.list('/notifications/deliveries?status=dead&limit=20', deliveryView, signal);
  if (json) {
    terminal.out(`${JSON.stringify({ notifications, dead })}\n`);
    return exitStatus.ok;
  }
  const { dim, red } = terminal.style.colors;
  const lines = notifications.map(
    ({ name, kind, host, topics, source }) =>
      `${name}  ${dim(`${kind} at ${printableLine(host)}: ${topics.join(', ')}${source === 'file' ? ' (mission.config.json)' : ''}`)}`,
  );
  const letters = dead.map(
    ({ notification, title, error }) =>
      `${red('not delivered')}  ${notification}: ${printableLine(title)}  ${dim(error ?? '')}`,
  );
  const none =
    'Nobody is notified. Set one in mission.config.json under "notifications", or on the settings page.';
  terminal.out(`${[...(lines.length === 0 ? [none] : lines), ...letters].join('\n')}\n`);
  return exitStatus.ok;
}

async function test({ client, terminal, json, signal }: CommandContext, name: string): Promise<ExitStatus> {
  const path = `/notifications/${encodeURIComponent(name)}/test`;
  const tested = await client.post(path, {}, notificationTested, signal);
  if (json) terminal.out(`${JSON.stringify(tested)}\n`);
  else terminal.out(`${name} took the test at ${printableLine(tested.host)}.\n`);
  return exitStatus.ok;
}
