import { type Command, InvalidArgumentError } from 'commander';
import { type BudgetRecord, budgetRecord, type SetBudgetBody } from '../../contract/budgets.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';
import { money, tokens } from '../view/format.ts';

const scopes = 'run, task, agent, agent_day, project or day';
const keys =
  'an id; for an agent or project its name; for a day 2026-01-31 or today, for an agent_day NAME/today';

export function addBudgetCommands(program: Command, run: Run): void {
  const budget = program.command('budget').description('what may be spent, by whom and on what');
  budget
    .command('list')
    .description('the limits, and what is spent and reserved of them')
    .option('--scope <scope>', scopes)
    .option('--all', 'also what has no limit', false)
    .action((options: { scope?: string; all: boolean }, command: Command) =>
      run(command, (context) => list(context, options)),
    );
  budget
    .command('set')
    .description('set a limit; what was spent before counts')
    .argument('<scope>', scopes)
    .argument('<key>', keys)
    .option('--usd <dollars>', 'money', readNumber)
    .option('--tokens <count>', 'tokens', readNumber)
    .option('--dry-run', 'say what would be done, and do nothing')
    .action((scope: string, key: string, body: SetBudgetBody, command: Command) =>
      run(command, (context) => set(context, scope, key, body)),
    );
  budget
    .command('remove')
    .description('take a limit away; spending is still counted')
    .argument('<scope>', scopes)
    .argument('<key>', keys)
    .option('--dry-run', 'say what would be done, and do nothing')
    .action((scope: string, key: string, _options: unknown, command: Command) =>
      run(command, (context) => remove(context, scope, key)),
    );
}

function readNumber(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError('It must be a number, 0 or more.');
}

async function list(
  { client, terminal, json, signal }: CommandContext,
  { scope, all }: { scope?: string; all: boolean },
): Promise<ExitStatus> {
  const query = new URLSearchParams({ limited: String(!all), ...(scope === undefined ? {} : { scope }) });
  const budgets = await client.list(`/budgets?${query}`, budgetRecord, signal);
  if (json) terminal.out(`${JSON.stringify(budgets)}\n`);
  else if (budgets.length === 0) terminal.out('No budget has a limit. Set one: mission budget set\n');
  else terminal.out(`${budgets.map(budgetLine).join('\n')}\n`);
  return exitStatus.ok;
}

async function set(
  { client, terminal, json, dryRun, signal }: CommandContext,
  scope: string,
  key: string,
  { usd, tokens: count }: SetBudgetBody,
): Promise<ExitStatus> {
  const body = { ...(usd === undefined ? {} : { usd }), ...(count === undefined ? {} : { tokens: count }) };
  if (dryRun) {
    terminal.err(`would set ${scope} ${key} to ${JSON.stringify(body)}\n`);
    return exitStatus.ok;
  }
  const budget = await client.put(pathOf(scope, key), body, budgetRecord, signal);
  terminal.out(json ? `${JSON.stringify(budget)}\n` : `${budgetLine(budget)}\n`);
  return exitStatus.ok;
}

async function remove(
  { client, terminal, json, dryRun, signal }: CommandContext,
  scope: string,
  key: string,
): Promise<ExitStatus> {
  if (dryRun) {
    terminal.err(`would take the limits of ${scope} ${key} away\n`);
    return exitStatus.ok;
  }
  const budget = await client.delete(pathOf(scope, key), budgetRecord, signal);
  terminal.out(json ? `${JSON.stringify(budget)}\n` : `${budgetLine(budget)}\n`);
  return exitStatus.ok;
}

function pathOf(scope: string, key: string): string {
  return `/budgets/${encodeURIComponent(scope)}/${encodeURIComponent(key)}`;
}

function budgetLine(budget: BudgetRecord): string {
  const { scope, key, name } = budget;
  const parts = [
    `${money(budget.spentMicros)} of ${budget.limitMicros === null ? 'no limit' : money(budget.limitMicros)}`,
    `${tokens(budget.spentTokens)} of ${budget.limitTokens === null ? 'no limit' : tokens(budget.limitTokens)}`,
    ...(budget.reservedMicros > 0 ? [`${money(budget.reservedMicros)} reserved`] : []),
  ];
  return `${scope} ${key}${name === key ? '' : ` (${printableLine(name)})`}  ${parts.join(', ')}`;
}
