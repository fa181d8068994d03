import type { ToolStep } from '../../../../contract/steps.ts';
import { countLines, parsePatch } from '../../text/parse-patch.ts';

type Input = Record<string, unknown>;

/** What a tool call is about, in a line. */
export function describeTool(name: string, input: unknown): string {
  if (typeof input !== 'object' || input === null) return typeof input === 'string' ? oneLine(input) : '';
  const fields: Input = { ...input };
  const text = (key: string) => (typeof fields[key] === 'string' ? fields[key] : '');
  switch (name) {
    case 'run_command':
      return oneLine(text('command'));
    case 'search':
      return oneLine(`“${text('pattern')}”${text('path') === '' ? '' : ` in ${text('path')}`}`);
    case 'git_commit':
      return oneLine(text('message'));
    case 'finish_phase':
      return oneLine(text('summary'));
    case 'merge_branch':
      return oneLine(`${text('branch')} → ${text('commit').slice(0, 10)}`);
    default:
      return oneLine(
        text('path') ||
          Object.values(fields)
            .filter((value) => typeof value === 'string' || typeof value === 'number')
            .join(' '),
      );
  }
}

export function countDiff(step: ToolStep): { added: number; removed: number } | null {
  const diff = step.result?.diff;
  if (diff === undefined || diff === '') return null;
  return countLines(parsePatch(diff).flatMap((file) => file.lines));
}

/** The end of an output: where programs say what went wrong. */
export function lastLines(output: string, most: number): string {
  const lines = output.trimEnd().split('\n');
  return lines.length <= most ? lines.join('\n') : `…\n${lines.slice(-most).join('\n')}`;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
