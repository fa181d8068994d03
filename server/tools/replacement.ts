export type Replacement = { ok: true; text: string; count: number } | { ok: false; message: string };

/** Replaces text exactly, and says where it nearly stands when it does not stand there. */
export function replaceExactly(
  text: string,
  oldText: string,
  newText: string,
  replaceAll: boolean,
): Replacement {
  if (oldText === newText) {
    return { ok: false, message: 'old_text and new_text are equal: nothing would change' };
  }
  const places = placesOf(text, oldText);
  if (places.length === 0) return { ok: false, message: explainMissing(text, oldText) };
  if (places.length > 1 && !replaceAll) {
    const lines = places.slice(0, 10).map((place) => lineAt(text, place));
    const more = places.length > 10 ? ', …' : '';
    const message = `old_text stands ${places.length} times in the file, at lines ${lines.join(', ')}${more}; add lines around it until it is unique, or set replace_all`;
    return { ok: false, message };
  }
  return { ok: true, text: text.split(oldText).join(newText), count: places.length };
}

function placesOf(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) places.push(at);
  return places;
}

function lineAt(text: string, place: number): number {
  return text.slice(0, place).split('\n').length;
}

function explainMissing(text: string, oldText: string): string {
  if (text === '') return 'old_text is not in the file: the file is empty';
  if (text.includes('\r\n') && !oldText.includes('\r') && text.replaceAll('\r\n', '\n').includes(oldText)) {
    return 'old_text is not in the file as given: the file ends its lines with \\r\\n; write \\r\\n in old_text and new_text';
  }
  const near = findNear(text, oldText);
  if (!near) return 'old_text is not in the file, and nothing like it; read the file again';
  const why = near.onlySpace
    ? 'only in white space'
    : `in ${near.different} of ${near.to - near.from + 1} lines`;
  const range =
    near.lines.length === 1 ? `line ${near.from} differs` : `lines ${near.from} to ${near.to} differ`;
  return `old_text is not in the file exactly; ${range} ${why}. The file has there:\n${near.lines.join('\n')}`;
}

interface Near {
  from: number;
  to: number;
  lines: string[];
  different: number;
  onlySpace: boolean;
}

const mostComparisons = 2_000_000;

/** The lines most like the wanted ones: at least half of them equal but for white space. */
function findNear(text: string, oldText: string): Near | null {
  const lines = text.split('\n');
  const wanted = oldText
    .replace(/^\n+|\n+$/g, '')
    .split('\n')
    .map(squeeze);
  const have = lines.map(squeeze);
  if (wanted.length > have.length || wanted.length * have.length > mostComparisons) return null;
  let best = { from: -1, score: 0 };
  for (let from = 0; from + wanted.length <= have.length; from++) {
    const score = wanted.filter((line, index) => isLike(line, have[from + index] ?? '')).length;
    if (score > best.score) best = { from, score };
  }
  if (best.from < 0 || best.score * 2 < wanted.length) return null;
  const found = lines.slice(best.from, best.from + wanted.length);
  const different = wanted.filter((line, index) => line !== squeeze(found[index] ?? '')).length;
  return {
    from: best.from + 1,
    to: best.from + found.length,
    lines: found.slice(0, 30).map((line) => line.slice(0, 300)),
    different,
    onlySpace: different === 0,
  };
}

function squeeze(line: string): string {
  return line.trim().replace(/\s+/g, ' ');
}

/** Equal, or equal but for a short stretch in its middle. */
function isLike(a: string, b: string): boolean {
  if (a === b) return true;
  if (a.length < 8 || b.length < 8) return false;
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return (start + end) * 3 >= Math.max(a.length, b.length) * 2;
}
