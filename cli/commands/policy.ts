import { type Command, InvalidArgumentError, Option } from 'commander';
import { askReport } from '../../contract/asks.ts';
import { showExact } from '../../contract/exact-text.ts';
import {
  type AddRuleBody,
  type PolicyRuleView,
  policyExplanation,
  policyRuleView,
  policyView,
  ruleWords,
  scopeWords,
} from '../../contract/policies.ts';
import type { CommandContext, Run } from '../context.ts';
import { type ExitStatus, exitStatus } from '../exit-status.ts';
import { printableLine } from '../printable.ts';

export function addPolicyCommands(program: Command, run: Run): void {
  const policy = program.command('policy').description('what agents may do: allow, ask, deny');
  policy
    .command('list')
    .description('the rules in force, beside the agents’ own')
    .action((_options: unknown, command: Command) => run(command, (context) => list(context, false)));
  policy
    .command('history')
    .description('every change: who made it, when and why')
    .action((_options: unknown, command: Command) => run(command, (context) => list(context, true)));
  addAddCommand(policy, run);
  policy
    .command('remove')
    .description('remove a rule, as a new version')
    .argument('<number>', 'the rule’s number', readNumber)
    .requiredOption('--why <reason>', 'for those who read the history')
    .action((number: number, { why }: { why: string }, command: Command) =>
      run(command, async ({ client, terminal, json, signal }) => {
        const removed = await client.post(`/policy/rules/${number}/remove`, { why }, policyRuleView, signal);
        terminal.out(
          json
            ? `${JSON.stringify(removed)}\n`
            : `rule ${number} is removed: version ${removed.removed?.version}\n`,
        );
        return exitStatus.ok;
      }),
    );
  policy
    .command('test')
    .description('what would come of a call, and why; nothing is run')
    .argument('<subject>', 'a command line, or a path for --tool write_file')
    .requiredOption('--agent <name>', 'whose call it would be')
    .option('--project <project>', 'in which project, by name or id')
    .option('--tool <tool>', 'which tool', 'run_command')
    .addHelpText('after', '\nExit status: 0 it is allowed, 5 a person is asked, 1 it is denied.')
    .action((subject: string, options: TestOptions, command: Command) =>
      run(command, (context) => test(context, subject, options)),
    );
  policy
    .command('report')
    .description('how often people are asked, and the rule that would spare most')
    .option('--days <days>', 'how far back', readNumber, 30)
    .action(({ days }: { days: number }, command: Command) =>
      run(command, (context) => report(context, days)),
    );
}

interface TestOptions {
  agent: string;
  project?: string;
  tool: string;
}

interface AddOptions {
  agent?: string;
  project?: string;
  role?: string;
  path?: string;
  host?: string;
  argument?: Record<string, string>;
  touches?: 'read' | 'workspace' | 'external';
  why: string;
}

function addAddCommand(policy: Command, run: Run): void {
  policy
    .command('add')
    .description('add a rule, as a new version: mission policy add ask run_command "npm publish*" --why …')
    .argument('<effect>', 'allow, ask or deny', readEffect)
    .argument('<tool>', 'a tool’s name, or a pattern such as git_*')
    .argument('[pattern]', 'of the command line or the path; * is any text')
    .option('--agent <name>', 'only for this agent')
    .option('--project <project>', 'only in this project')
    .option('--role <role>', 'only for agents of this role')
    .option('--path <pattern>', 'only where the call names such a path')
    .option('--host <pattern>', 'only where the call names such a host')
    .option(
      '--argument <pointer=pattern>',
      'only where this argument fits, as in /timeout_seconds=60',
      readArgument,
    )
    .addOption(
      new Option('--touches <effect>', 'only calls of this effect').choices([
        'read',
        'workspace',
        'external',
      ]),
    )
    .requiredOption('--why <reason>', 'for those who read the history')
    .action(
      (
        effect: AddRuleBody['rule']['effect'],
        tool: string,
        pattern: string | undefined,
        options: AddOptions,
        command: Command,
      ) =>
        run(command, async ({ client, terminal, json, signal }) => {
          const { agent, project, role, path, host, argument, touches, why } = options;
          const body: AddRuleBody = {
            rule: given({ effect, tool, pattern, path, host, arguments: argument, touches }),
            scope: given({ agent, project, role }),
            why,
          };
          const added = await client.post('/policy/rules', body, policyRuleView, signal);
          terminal.out(
            json
              ? `${JSON.stringify(added)}\n`
              : `rule ${added.number} holds from now on: version ${added.added.version}\n`,
          );
          return exitStatus.ok;
        }),
    );
}

/** Without what was not given. */
function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return JSON.parse(JSON.stringify(values));
}

function readEffect(text: string): string {
  if (['allow', 'ask', 'deny'].includes(text)) return text;
  throw new InvalidArgumentError('It must be allow, ask or deny.');
}

function readNumber(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number above 0.');
}

function readArgument(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (!text.startsWith('/') || at < 2)
    throw new InvalidArgumentError('It must be a JSON pointer and a pattern: /timeout_seconds=60');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

async function list(
  { client, terminal, json, signal }: CommandContext,
  history: boolean,
): Promise<ExitStatus> {
  const { version, items } = await client.get(`/policy/rules?history=${history}`, policyView, signal);
  if (json) {
    terminal.out(`${JSON.stringify({ version, items })}\n`);
    return exitStatus.ok;
  }
  const { dim } = terminal.style.colors;
  const lines = history
    ? items
        .flatMap(historyLines)
        .toSorted((a, b) => b.version - a.version)
        .map(({ line }) => line)
    : items.map(
        (item) => `${ruleLine(item)}  ${dim(`${item.added.by}: ${printableLine(item.added.why, 80)}`)}`,
      );
  const none = 'No rule beside the agents’ own. Add one with: mission policy add';
  terminal.out(`${(lines.length === 0 ? [none] : lines).join('\n')}\n`);
  terminal.err(dim(`version ${version} of the policy\n`));
  return exitStatus.ok;
}

function ruleLine({ number, rule, scope }: PolicyRuleView): string {
  return `rule ${number}  ${ruleWords(rule)}${scopeWords(scope)}`;
}

function historyLines(item: PolicyRuleView): { version: number; line: string }[] {
  const tell = (change: PolicyRuleView['added'], what: string) => ({
    version: change.version,
    line: `${change.version}  ${change.at}  ${printableLine(change.by, 40)} ${what} ${ruleLine(item)}: ${printableLine(change.why, 200)}`,
  });
  return [tell(item.added, 'added'), ...(item.removed === null ? [] : [tell(item.removed, 'removed')])];
}

async function test(
  { client, terminal, json, signal }: CommandContext,
  subject: string,
  options: TestOptions,
): Promise<ExitStatus> {
  const { agent, project, tool } = options;
  const body = given({ subject, agent, project, tool });
  const explained = await client.post('/policy/test', body, policyExplanation, signal);
  const { decision, reason, parts } = explained;
  const { bold, dim } = terminal.style.colors;
  const words = { allow: 'allowed', ask: 'asked about', deny: 'denied' };
  const lines = [
    `${bold(words[decision])}: ${showExact(reason)}`,
    ...parts.map(
      (part) => `  ${part.decision.padEnd(5)}  ${showExact(part.what)}  ${dim(showExact(part.reason))}`,
    ),
    dim(`version ${explained.version} of the policy; nothing was run`),
  ];
  terminal.out(json ? `${JSON.stringify(explained)}\n` : `${lines.join('\n')}\n`);
  return { allow: exitStatus.ok, ask: exitStatus.waitsForPerson, deny: exitStatus.failed }[decision];
}

async function report({ client, terminal, json, signal }: CommandContext, days: number): Promise<ExitStatus> {
  const told = await client.get(`/asks/report?days=${days}`, askReport, signal);
  if (json) {
    terminal.out(`${JSON.stringify(told)}\n`);
    return exitStatus.ok;
  }
  const { decided, offer } = told;
  const each =
    told.asksPerCompletedTask === null
      ? 'no task was completed'
      : `${told.asksPerCompletedTask.toFixed(1)} asks for each of ${told.completedTasks} completed tasks`;
  const lines = [
    `In ${told.days} days: ${each}; ${decided.approved} approved, ${decided.denied} denied, ${decided.expired} not answered in time.`,
    offer === null
      ? 'No rule would have spared more than one approval.'
      : `This rule would have spared ${offer.saves} approvals, and met no denial: ${ruleWords(offer.rule)}${scopeWords(offer.scope)}`,
  ];
  terminal.out(`${lines.join('\n')}\n`);
  return exitStatus.ok;
}
