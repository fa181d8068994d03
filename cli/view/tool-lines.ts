import type { ToolStep } from '../../contract/steps.ts';
import { printable, printableLine } from '../printable.ts';
import type { Style } from '../terminal.ts';
import { diffLines } from './diff-lines.ts';
import { elapsed } from './format.ts';

const maxDiffLines = 28;

/** The end of a phase is drawn as such, not as a call; a refused one is a call. */
export function isToldElsewhere(step: ToolStep): boolean {
  return step.name === 'finish_phase' && step.status !== 'failed' && step.result?.ok !== false;
}

/** A call as it starts: its name and its arguments in short. */
export function toolOpening(step: ToolStep, style: Style): string {
  const { colors } = style;
  const argument = shortArguments(step.intent.input, style.width - step.name.length - 6);
  return `  ${colors.cyan('▸')} ${colors.bold(printableLine(step.name, 40))}  ${argument}`.trimEnd();
}

/** What a call came to. `named` repeats the name, for a result that does not follow its call directly. */
export function toolClosing(step: ToolStep, style: Style, options: { named: boolean }): string[] {
  const { colors } = style;
  const name = options.named ? `${printableLine(step.name, 40)}: ` : '';
  const time = elapsed(step);
  if (step.status === 'in_doubt') {
    return [colors.yellow(`    ? ${name}in doubt: it was interrupted, and what it did is not known`)];
  }
  const { result, error } = step;
  const failed = step.status === 'failed' || result?.ok === false || error !== null;
  const body = result === null ? [] : resultLines(step, style);
  const exit = typeof result?.exitCode === 'number' ? `exit ${result.exitCode}` : '';
  if (!failed) {
    const words = [exit, exit === '' ? summary(step) : '', time, taintWords(step)]
      .filter(Boolean)
      .join(' · ');
    return [...body, `    ${colors.green('✓')} ${colors.dim(`${name}${words || 'done'}`)}`];
  }
  // Of a tool that failed by itself the message is the output, which is shown already.
  const told = error === null || (error.class === 'tool_failed' && body.length > 0);
  const reason = told ? exit : `${error.class}: ${printableLine(error.message, 300)}`;
  const words = [reason || 'failed', time, taintWords(step)].filter(Boolean).join(' · ');
  return [...body, colors.red(`    ✗ ${name}${words}`)];
}

/** What the call brought into the run, and the hosts that it was kept from. */
function taintWords({ result }: ToolStep): string {
  const kinds = new Set((result?.taint ?? []).map(({ kind }) => `read ${kind}`));
  const kept = (result?.keptFrom ?? []).map(({ host }) => `kept from ${printableLine(host, 60)}`);
  return [...kinds, ...kept].join(' · ');
}

/** The arguments that matter, without the contents that the diff shows. */
export function shortArguments(input: unknown, width: number): string {
  if (typeof input !== 'object' || input === null) return '';
  const words = Object.entries(input).flatMap(([key, value]) => {
    if (['content', 'old_text', 'new_text'].includes(key)) return [];
    const whole = typeof value === 'string' ? value : JSON.stringify(value);
    const text = key === 'message' ? (whole.split('\n')[0] ?? '') : whole;
    return ['path', 'command', 'pattern', 'message'].includes(key) ? [text] : [`${key}=${text}`];
  });
  return printableLine(words.join('  '), Math.max(width, 20));
}

function resultLines(step: ToolStep, style: Style): string[] {
  const { result } = step;
  if (result === null) return [];
  if (result.diff !== undefined && result.diff !== '') {
    return diffLines(withoutHeader(result.diff), style, { indent: '    ', limit: maxDiffLines });
  }
  if (step.name === 'git_diff') return diffLines(result.output, style, { indent: '    ', limit: 12 });
  if (step.name === 'read_file' && result.ok) return [];
  const isCommand = step.name === 'run_command';
  const output = isCommand ? result.output.replace(/^\[exit status [^\]\n]*\]\n/, '') : result.output;
  return excerpt(output, style, isCommand ? { head: 4, tail: 8 } : { head: 6, tail: 0 });
}

/** First and last lines, each cut at the width, dimmed. */
export function excerpt(output: string, style: Style, limits: { head: number; tail: number }): string[] {
  const all = printable(output).replace(/\t/g, '  ').split('\n');
  const lines = all.map((line) => line.trimEnd()).filter((line) => line !== '');
  const cut = (line: string) => {
    const room = style.width - 4;
    return style.colors.dim(`    ${line.length > room ? `${line.slice(0, room - 1)}…` : line}`);
  };
  // Leaving out one or two lines would save nothing over saying so.
  if (lines.length <= limits.head + limits.tail + 2) return lines.map(cut);
  return [
    ...lines.slice(0, limits.head).map(cut),
    style.colors.dim(`    … ${lines.length - limits.head - limits.tail} lines`),
    ...(limits.tail > 0 ? lines.slice(-limits.tail).map(cut) : []),
  ];
}

function summary(step: ToolStep): string {
  if (step.name !== 'read_file' || step.result === null) return '';
  const lines = step.result.output.replace(/\n$/, '').split('\n').length;
  return `${lines} line${lines === 1 ? '' : 's'}`;
}

function withoutHeader(diff: string): string {
  const start = diff.search(/^@@/m);
  return start > 0 ? diff.slice(start) : diff;
}
