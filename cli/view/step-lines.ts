import type {
  AskStep,
  CheckStep,
  CompactionStep,
  GuidanceStep,
  ModelStep,
  NoteStep,
} from '../../contract/steps.ts';
import { printableLine } from '../printable.ts';
import type { Style } from '../terminal.ts';
import { duration, elapsed, money, shortCommit, tokens } from './format.ts';
import { wrap } from './text-flow.ts';
import { excerpt } from './tool-lines.ts';

/** `── name ────…` over the whole width. */
export function heading(name: string, style: Style): string {
  const words = printableLine(name, style.width - 8).replaceAll('_', ' ');
  const line = '─'.repeat(Math.max(style.width - words.length - 4, 2));
  return `${style.colors.dim('──')} ${style.colors.bold(words)} ${style.colors.dim(line)}`;
}

/** What was used since a phase began. */
export interface Spent {
  calls: number;
  tokens: number;
  cached: number;
  micros: number;
  startedAt: string;
}

export function spentLine(spent: Spent, endedAt: string): string {
  const took = duration(Math.max(Date.parse(endedAt) - Date.parse(spent.startedAt), 0));
  const cached = spent.cached > 0 ? ` (${tokens(spent.cached).replace(' tokens', '')} from cache)` : '';
  const calls = `${spent.calls} model call${spent.calls === 1 ? '' : 's'}`;
  return [calls, `${tokens(spent.tokens)}${cached}`, money(spent.micros), took].join(' · ');
}

export function phaseEnd(
  phase: { name: string; summary: string; spent: Spent; endedAt: string },
  style: Style,
): string[] {
  const { colors } = style;
  const words = [
    ...wrap(phase.summary, style.width, '  '),
    `  ${phase.name.replaceAll('_', ' ')} ends · ${spentLine(phase.spent, phase.endedAt)}`,
  ];
  return words.map((line) => colors.dim(line));
}

export function modelFailure(step: ModelStep, style: Style): string[] {
  const { colors } = style;
  if (step.status === 'in_doubt') {
    return [
      colors.yellow('  ? the model call was interrupted; it counts at its highest price and is made again'),
    ];
  }
  const { error, intent } = step;
  if (error === null) return [colors.red('  ✗ the model call failed')];
  const retry = error.retryAfterMs === undefined ? '' : `, asked to wait ${duration(error.retryAfterMs)}`;
  const attempt = intent.attempt > 1 ? ` (attempt ${intent.attempt})` : '';
  const text = `✗ model call failed${attempt}: ${error.class}${retry}: ${error.message}`;
  return wrap(text, style.width, '  ').map((line) => colors.red(line));
}

const places: Record<CheckStep['intent']['where'], string> = {
  setup: 'set-up',
  base: 'check on the base',
  change: 'check on the change',
  pinned: 'check under the original tests',
};

export function checkOpening(step: CheckStep, style: Style): string {
  const { colors } = style;
  const { command, where, commit } = step.intent;
  const place = `${places[where]} ${shortCommit(printableLine(commit))}`.trim();
  return `  ${colors.cyan('▸')} ${colors.bold(printableLine(command, style.width - place.length - 8))}  ${colors.dim(place)}`;
}

export function checkClosing(step: CheckStep, style: Style): string[] {
  const { colors } = style;
  const { result, error } = step;
  if (result === null) {
    const reason =
      error === null ? step.status.replace('_', ' ') : `${error.class}: ${printableLine(error.message, 300)}`;
    return [colors.red(`    ✗ ${reason}`)];
  }
  const exit = result.exitCode === null ? '' : `exit ${result.exitCode}`;
  const missing = result.exitCode === 127 ? 'a command was not found' : '';
  const before =
    step.intent.where === 'base' && result.outcome !== 'passed'
      ? 'red before any change; the work goes on'
      : '';
  const words = [result.outcome.replaceAll('_', ' '), exit, missing, duration(result.durationMs), before]
    .filter(Boolean)
    .join(' · ');
  if (result.outcome === 'passed') return [`    ${colors.green(`✓ ${words}`)}`];
  return [...excerpt(result.excerpt, style, { head: 4, tail: 16 }), colors.red(`    ✗ ${words}`)];
}

export function guidanceLines(step: GuidanceStep, style: Style): string[] {
  const { text, from, peer } = step.intent;
  const lines = wrap(text, style.width, '    ').map((line) => style.colors.yellow(line));
  return [
    style.colors.yellow(`  » ${peer ? 'message of the agent' : 'guidance from'} ${printableLine(from, 60)}`),
    ...limitLines(lines, 24, style),
  ];
}

export function noteLines(step: NoteStep, style: Style): string[] {
  return wrap(`· ${step.intent.text}`, style.width, '  ').map((line) => style.colors.dim(line));
}

export function compactionLines(step: CompactionStep, style: Style): string[] {
  return [
    style.colors.dim(
      `  · earlier conversation condensed (${tokens(Math.ceil(step.intent.text.length / 4))} or so)`,
    ),
  ];
}

export function askOpening(step: AskStep, style: Style): string[] {
  const { kind, question } = step.intent;
  const lines = wrap(question, style.width, '    ');
  return [style.colors.yellow(`  ? ${kind} wanted`), ...limitLines(lines, 40, style)];
}

export function askClosing(step: AskStep, style: Style): string[] {
  const { colors } = style;
  if (step.result === null) return [colors.yellow(`    ask ended: ${step.status.replace('_', ' ')}`)];
  const { decision, answer, by } = step.result;
  const words = {
    approve: 'approved',
    deny: 'denied',
    answer: 'answered',
    expired: 'expired',
    withdrawn: 'withdrawn',
  };
  const time = elapsed(step);
  const who = by === '' ? '' : ` by ${printableLine(by, 60)}`;
  const text = `${words[decision]}${who}${time === '' ? '' : ` after ${time}`}${answer === '' ? '' : `: ${answer}`}`;
  const paint = decision === 'approve' || decision === 'answer' ? colors.green : colors.red;
  return wrap(`= ${text}`, style.width, '    ').map((line) => paint(line));
}

function limitLines(lines: string[], limit: number, style: Style): string[] {
  if (lines.length <= limit) return lines;
  return [...lines.slice(0, limit), style.colors.dim(`    … ${lines.length - limit} more lines`)];
}
