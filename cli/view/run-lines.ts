import type { AskView } from '../../contract/asks.ts';
import type { ChangeView, Receipt } from '../../contract/changes.ts';
import type { BudgetView, RunView } from '../../contract/runs.ts';
import type { TaskView } from '../../contract/tasks.ts';
import type { Waiting } from '../../contract/waiting.ts';
import { printable, printableLine } from '../printable.ts';
import type { Colors, Style } from '../terminal.ts';
import { atDeadline, count, duration, money, shortCommit, tokens, until } from './format.ts';
import { wrap } from './text-flow.ts';

export function modelName(run: Pick<RunView, 'model' | 'recording'>): string {
  return `${printableLine(run.model, 80)}${run.recording ? ' (a recording, no live model)' : ''}`;
}

/** A run that is not walled in is told in every view of it. */
export function unsafeLines(sandbox: string | null, style: Style): string[] {
  if (sandbox !== 'unsafe') return [];
  const text = '! unsafe: commands run on this machine without a sandbox (--unsafe-no-sandbox)';
  return wrap(text, style.width, '  ').map((line) => style.colors.red(style.colors.bold(line)));
}

export function runHeader(run: RunView, task: TaskView | null, style: Style): string[] {
  const { colors } = style;
  const facts = [
    `agent ${printableLine(run.agent, 60)}`,
    run.kind === 'task' ? `model ${modelName(run)}` : run.kind,
    run.sandbox === null ? '' : `sandbox ${printableLine(run.sandbox)}`,
  ];
  return [
    `${colors.bold(printableLine(task?.title ?? run.taskId, style.width))}`,
    ...wrap(`${run.id} · ${facts.filter(Boolean).join(' · ')}`, style.width, '  ').map((line) =>
      colors.dim(line),
    ),
    ...(task === null
      ? []
      : [colors.dim(`  ${printableLine(task.repository ?? task.project, style.width - 2)}`)]),
    ...unsafeLines(run.sandbox, style),
  ];
}

/** On what it waits, who can end it, until when, and what happens then. */
export function waitingLines(waiting: Waiting, style: Style, now: Date): string[] {
  const on = waiting.ref === null ? waiting.on : `${waiting.on} ${waiting.ref}`;
  return [
    ...wrap(`‖ waits on ${on}: ${waiting.reason}`, style.width, '  '),
    ...wrap(
      `owner ${printableLine(waiting.owner, 60)} · ${until(waiting.deadline, now)}, ${atDeadline(waiting.atDeadline)}`,
      style.width,
      '    ',
    ),
  ].map((line) => style.colors.yellow(line));
}

/** An open ask in full, with the lines that answer it. */
export function askLines(ask: AskView, style: Style, now: Date, show = { question: true }): string[] {
  const { colors } = style;
  const then = ask.defaultDecision === 'deny' ? 'then it counts as denied' : 'then it counts as approved';
  // The call itself is shown to the character, whole, since what is approved is what runs.
  const action =
    ask.shown === null ? [] : ask.shown.split('\n').map((line) => `    ${colors.bold('│')} ${line}`);
  const detail = Object.entries(ask.detail)
    .filter(([key]) => ask.shown === null || !['input', 'subject'].includes(key))
    .map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `    ${colors.dim(`${printableLine(key, 20)}:`)} ${printableLine(text, style.width * 2)}`;
    });
  return [
    colors.yellow(`  ? ${ask.kind} · ${ask.id}`),
    ...(show.question ? wrap(ask.question, style.width, '    ') : []),
    ...action,
    ...detail,
    colors.dim(`    owner ${printableLine(ask.owner, 60)} · ${until(ask.deadline, now)}, ${then}`),
    ...answerCommands(ask).map((line) => `    ${line}`),
  ];
}

export function answerCommands(ask: Pick<AskView, 'id' | 'kind'>): string[] {
  if (ask.kind === 'clarification') return [`mission approve ${ask.id} "your answer"`];
  const remember = ask.kind === 'approval' ? ' [--for-run | --as-rule]' : '';
  return [`mission approve ${ask.id}${remember}`, `mission deny ${ask.id} "why not"`];
}

export function statusWord(status: string, colors: Colors): string {
  const words = status.replaceAll('_', ' ');
  if (['succeeded', 'completed', 'merged', 'ready', 'passed', 'ok', 'in_review'].includes(status)) {
    return colors.green(`✓ ${words}`);
  }
  if (['failed', 'stopped', 'cancelled', 'reverted'].includes(status)) return colors.red(`✗ ${words}`);
  if (['waiting', 'paused', 'blocked', 'sent_back', 'warning'].includes(status))
    return colors.yellow(`‖ ${words}`);
  return colors.cyan(`● ${words}`);
}

export function spentOf(budget: BudgetView): string {
  const money_ = `${money(budget.spentMicros)}${budget.limitMicros === null ? '' : ` of ${money(budget.limitMicros)}`}`;
  const tokens_ = `${tokens(budget.spentTokens)}${budget.limitTokens === null ? '' : ` of ${tokens(budget.limitTokens)}`}`;
  const reserved = budget.reservedMicros > 0 ? ` · ${money(budget.reservedMicros)} reserved` : '';
  return `${money_} · ${tokens_}${reserved}`;
}

export function runEnd(run: RunView, style: Style): string[] {
  const { colors } = style;
  const from = run.startedAt ?? run.createdAt;
  const took = run.endedAt === null ? '' : ` after ${duration(Date.parse(run.endedAt) - Date.parse(from))}`;
  const spent =
    run.budget === null || run.kind !== 'task' ? [] : [colors.dim(`  spent ${spentOf(run.budget)}`)];
  const recording =
    run.recording && run.kind === 'task'
      ? [colors.dim(`  by ${modelName(run)}; its prices are made up, nobody is billed`)]
      : [];
  const outcome = wrap(run.outcome ?? '', style.width, '  ');
  return [`  ${statusWord(run.status, colors)}${took}`, ...outcome, ...spent, ...recording];
}

export function receiptLines(receipt: Receipt, style: Style): string[] {
  const { colors } = style;
  const verdicts = {
    passed: colors.green('✓ checks passed'),
    accepted_by_human: colors.yellow(`‖ accepted by ${printableLine(receipt.acceptedBy ?? 'a person', 60)}`),
    unchecked: colors.yellow('‖ unchecked'),
  };
  const places = { base: 'base  ', change: 'change', pinned: 'change under the original tests' };
  const checks = receipt.checks.map((check) => {
    const mark = check.outcome === 'passed' ? colors.green('✓') : colors.red('✗');
    const exit = check.exitCode === null ? '' : ` · exit ${check.exitCode}`;
    const words = `${check.outcome.replaceAll('_', ' ')}${exit} · ${duration(check.durationMs)}`;
    const key = check.setupKey === '' ? '' : ` · set-up ${printableLine(check.setupKey.slice(0, 12))}`;
    const where = `${places[check.where]} ${shortCommit(check.commit)}`;
    return `    ${mark} ${colors.bold(printableLine(check.command, 60))}  ${colors.dim(`${where} · ${words}${key}`)}`;
  });
  const pinned = receipt.pinnedChanges.map(
    ({ path, status }) => `    ${colors.yellow('!')} ${printableLine(status)} ${printableLine(path)}`,
  );
  return [
    `  receipt  ${verdicts[receipt.verdict]}${receipt.needsHuman ? colors.yellow(' · a person must look') : ''}`,
    ...checks,
    ...(pinned.length > 0
      ? [colors.yellow('    existing tests or check files that the change touches:'), ...pinned]
      : []),
  ];
}

export function changeLines(change: ChangeView, style: Style): string[] {
  const { colors } = style;
  const range = `${shortCommit(change.baseCommit)}..${shortCommit(change.commit)}`;
  return [
    `  ${colors.bold(printableLine(change.title, style.width - 4))}`,
    colors.dim(`  ${change.id} · ${range} onto ${printableLine(change.targetBranch, 80)} · `) +
      statusWord(change.status, colors),
    '',
    ...wrap(printable(change.description), style.width, '  '),
    '',
    ...receiptLines(change.receipt, style),
  ];
}

export function filesLine(files: { additions: number; deletions: number }[], colors: Colors): string {
  const sum = (key: 'additions' | 'deletions') => files.reduce((all, file) => all + file[key], 0);
  return `${count(files.length, 'file')}, ${colors.green(`+${sum('additions')}`)} ${colors.red(`-${sum('deletions')}`)}`;
}
