import { printable } from '../printable.ts';
import type { Colors, Style } from '../terminal.ts';

/** A unified diff, coloured. With a `limit`, so many lines at most, each cut at the width. */
export function diffLines(
  patch: string,
  style: Style,
  options: { indent: string; limit?: number },
): string[] {
  const { indent, limit = Number.POSITIVE_INFINITY } = options;
  const lines = printable(patch).replace(/\n+$/, '').split('\n');
  const room = limit === Number.POSITIVE_INFINITY ? limit : style.width - indent.length;
  const cut = (line: string) => (line.length > room ? `${line.slice(0, room - 1)}…` : line);
  const shown = lines.slice(0, limit).map((line) => indent + colour(cut(line), style.colors));
  if (lines.length > limit) shown.push(style.colors.dim(`${indent}… ${lines.length - limit} more lines`));
  return shown;
}

function colour(line: string, colors: Colors): string {
  if (/^(?:diff |index |--- |\+\+\+ |new file|deleted file|rename |similarity )/.test(line)) {
    return colors.bold(line);
  }
  if (line.startsWith('@@')) return colors.cyan(line);
  if (line.startsWith('+')) return colors.green(line);
  if (line.startsWith('-')) return colors.red(line);
  return line;
}
