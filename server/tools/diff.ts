/** Edit scripts longer than this are not searched for: the whole middle is shown as replaced. */
const longestScript = 2_000;
const context = 3;

interface Edit {
  kind: ' ' | '-' | '+';
  line: string;
}

/** A unified diff of two texts as `git apply` takes it; empty where they are equal. null stands for no file. */
export function unifiedDiff(path: string, before: string | null, after: string | null): string {
  if (before === after) return '';
  const edits = compare(splitLines(before ?? ''), splitLines(after ?? ''));
  const from = before === null ? '/dev/null' : `a/${path}`;
  const to = after === null ? '/dev/null' : `b/${path}`;
  return [`--- ${from}`, `+++ ${to}`, ...hunksOf(edits)].join('\n').concat('\n');
}

/** Lines with their line ends, so that a last line without one is another line than one with it. */
function splitLines(text: string): string[] {
  return text.split(/(?<=\n)/).filter((line) => line !== '');
}

function compare(before: string[], after: string[]): Edit[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end++;
  }
  const same = (line: string): Edit => ({ kind: ' ', line });
  return [
    ...before.slice(0, start).map(same),
    ...shortestScript(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
}

/**
 * Myers' greedy search: `furthest` holds, for each diagonal, how far down `before` one gets with a number of
 * edits; each round's state is kept for walking back.
 */
function shortestScript(before: string[], after: string[]): Edit[] {
  const rounds: Map<number, number>[] = [];
  let furthest = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= Math.min(before.length + after.length, longestScript); edits++) {
    rounds.push(furthest);
    const next = new Map(furthest);
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = startOf(furthest, diagonal, edits);
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++;
      next.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return walkBack(rounds, before, after);
    }
    furthest = next;
  }
  return [
    ...before.map((line): Edit => ({ kind: '-', line })),
    ...after.map((line): Edit => ({ kind: '+', line })),
  ];
}

function startOf(furthest: Map<number, number>, diagonal: number, edits: number): number {
  const down = furthest.get(diagonal + 1) ?? -1;
  const right = furthest.get(diagonal - 1) ?? -1;
  return diagonal === -edits || (diagonal !== edits && right < down) ? down : right + 1;
}

function walkBack(rounds: Map<number, number>[], before: string[], after: string[]): Edit[] {
  const edits: Edit[] = [];
  let x = before.length;
  let y = after.length;
  for (let round = rounds.length - 1; round >= 0; round--) {
    const furthest = rounds[round] ?? new Map<number, number>();
    const diagonal = x - y;
    const down = furthest.get(diagonal + 1) ?? -1;
    const right = furthest.get(diagonal - 1) ?? -1;
    const cameDown = diagonal === -round || (diagonal !== round && right < down);
    const startX = round === 0 ? 0 : cameDown ? down : right + 1;
    while (x > startX) {
      x--;
      y--;
      edits.push({ kind: ' ', line: before[x] ?? '' });
    }
    if (round === 0) break;
    if (cameDown) edits.push({ kind: '+', line: after[--y] ?? '' });
    else edits.push({ kind: '-', line: before[--x] ?? '' });
  }
  return edits.reverse();
}

function hunksOf(edits: Edit[]): string[] {
  const lines: string[] = [];
  let oldLine = 1;
  let newLine = 1;
  let at = 0;
  while (at < edits.length) {
    const first = edits.findIndex((edit, index) => index >= at && edit.kind !== ' ');
    if (first < 0) break;
    const start = Math.max(at, first - context);
    oldLine += start - at;
    newLine += start - at;
    const hunk = edits.slice(start, endOfHunk(edits, first));
    const olds = hunk.filter((edit) => edit.kind !== '+').length;
    const news = hunk.filter((edit) => edit.kind !== '-').length;
    lines.push(`@@ -${range(oldLine, olds)} +${range(newLine, news)} @@`, ...hunk.flatMap(printEdit));
    oldLine += olds;
    newLine += news;
    at = start + hunk.length;
  }
  return lines;
}

/** A hunk goes on while the next edit is near enough for the contexts to touch. */
function endOfHunk(edits: Edit[], first: number): number {
  let last = first;
  for (let at = first; at < edits.length && at <= last + context * 2 + 1; at++) {
    if (edits[at]?.kind !== ' ') last = at;
  }
  return Math.min(last + context + 1, edits.length);
}

function range(line: number, count: number): string {
  return count === 1 ? `${line}` : `${count === 0 ? line - 1 : line},${count}`;
}

function printEdit({ kind, line }: Edit): string[] {
  if (line.endsWith('\n')) return [`${kind}${line.slice(0, -1)}`];
  return [`${kind}${line}`, '\\ No newline at end of file'];
}
