import type { Command } from 'commander';
import { z } from 'zod';
import { changeDiff, changeView } from '../../contract/changes.ts';
import { runView } from '../../contract/runs.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';
import { resolveId } from '../resolve-id.ts';
import { diffLines } from '../view/diff-lines.ts';
import { changeLines, filesLine, modelName, unsafeLines } from '../view/run-lines.ts';
import { watchToEnd } from './runs.ts';

const moving = z.object({ change: changeView, run: runView });

export function addChangeCommands(program: Command, run: Run): void {
  const change = program
    .command('change')
    .description('look at a change, merge it, send it back, or revert it');
  change
    .command('show')
    .description('what a change is, and the receipt of its checks')
    .argument('<change>')
    .option('--diff', 'also the whole diff', false)
    .action((given: string, options: { diff: boolean }, command: Command) =>
      run(command, (context) => show(context, given, options.diff)),
    );
  change
    .command('merge')
    .description('merge a change onto the branch that it was checked against')
    .argument('<change>')
    .option('--dry-run', 'say what would be merged, and merge nothing')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, (context) => move(context, given, 'merge')),
    );
  change
    .command('send-back')
    .description('give a change back to its agent, with what must become different')
    .argument('<change>')
    .argument('<comments>')
    .option('--dry-run', 'say what would be sent back, and send nothing')
    .action((given: string, comments: string, _options: unknown, command: Command) =>
      run(command, (context) => sendBack(context, given, comments)),
    );
  change
    .command('push')
    .description('push the branch of a change to its forge, once that is approved')
    .argument('<change>')
    .option('--dry-run', 'say what would be pushed, and push nothing')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, (context) => move(context, given, 'push')),
    );
  change
    .command('revert')
    .description('take a merged change out of its branch again')
    .argument('<change>')
    .option('--dry-run', 'say what would be reverted, and revert nothing')
    .action((given: string, _options: unknown, command: Command) =>
      run(command, (context) => move(context, given, 'revert')),
    );
}

async function sendBack(context: CommandContext, given: string, comments: string): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  const id = await resolveId(client, 'change', given);
  if (dryRun) {
    terminal.err(`would send ${id} back to its agent: ${comments}\n`);
    return exitStatus.ok;
  }
  const sent = await client.post(`/changes/${id}/send-back`, { comments }, moving, signal);
  if (json) terminal.out(`${JSON.stringify(sent)}\n`);
  else terminal.out(`${sent.run.id}\n`);
  if (!json) terminal.err(`Sent back; its agent goes on. Watch it with: mission watch ${sent.run.id}\n`);
  return exitStatus.ok;
}

async function show(
  { client, terminal, json, signal }: CommandContext,
  given: string,
  withDiff: boolean,
): Promise<ExitStatus> {
  const id = await resolveId(client, 'change', given);
  const change = await client.get(`/changes/${id}`, changeView, signal);
  const diff = await client.get(`/changes/${id}/diff`, changeDiff, signal);
  if (json) {
    terminal.out(`${JSON.stringify(withDiff ? { ...change, diff } : change)}\n`);
    return exitStatus.ok;
  }
  const { style } = terminal;
  const run = await client.get(`/runs/${change.runId}`, runView, signal);
  const files = diff.files.map(({ path, status, additions, deletions, binary }) => {
    const sum = binary
      ? 'binary'
      : `${style.colors.green(`+${additions}`)} ${style.colors.red(`-${deletions}`)}`;
    return `    ${printableLine(path, style.width - 30)}  ${style.colors.dim(status)}  ${sum}`;
  });
  const lines = [
    ...changeLines(change, style),
    style.colors.dim(`  by ${modelName(run)}, ${run.id}`),
    ...unsafeLines(run.sandbox, style),
    '',
    `  ${filesLine(diff.files, style.colors)}`,
    ...files,
  ];
  if (withDiff) lines.push('', ...diffLines(diff.patch, style, { indent: '' }));
  if (withDiff && diff.truncated) lines.push(style.colors.yellow('The diff is longer than what is shown.'));
  terminal.out(`${lines.join('\n')}\n`);
  return exitStatus.ok;
}

async function move(
  context: CommandContext,
  given: string,
  verb: 'merge' | 'revert' | 'push',
): Promise<ExitStatus> {
  const { client, terminal, dryRun, signal } = context;
  const id = await resolveId(client, 'change', given);
  if (dryRun) {
    const change = await client.get(`/changes/${id}`, changeView, signal);
    const target = printableLine(change.targetBranch);
    const where = { merge: `onto ${target}`, revert: `on ${target}`, push: `as mission/${id}` }[verb];
    terminal.err(`would ${verb} ${id} (${change.commit}) ${where}\n`);
    return exitStatus.ok;
  }
  const { run } = await client.post(`/changes/${id}/${verb}`, {}, moving, signal);
  return watchToEnd(context, run.id);
}
