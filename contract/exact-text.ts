export interface TextPart {
  text: string;
  /** What the character is called, where the part is one that cannot be seen. */
  hidden: string | null;
}

/**
 * All that takes no ink: controls, format and bidi characters, fillers, odd spaces, private and broken code
 * points; and a blank at the end of a line, which nobody sees either.
 */
const invisible =
  /(?![ \n\t])[\p{Cc}\p{Cf}\p{Z}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]|[ \t](?=[ \t]*(?:\n|$))/gu;

/** The exact characters, where those that hide or turn text around are named. */
export function exactParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(invisible)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index), hidden: null });
    parts.push({ text: match[0], hidden: nameOf(match[0]) });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), hidden: null });
  return parts;
}

/**
 * The same as one text, for those who show nothing but text: each such character by its name in ⟦ ⟧. These
 * brackets are named too where a text holds them, so that no two texts are shown alike.
 */
export function showExact(text: string): string {
  return exactParts(text)
    .map(({ text: part, hidden }) =>
      hidden === null ? part.replace(/[⟦⟧]/g, (found) => `⟦${nameOf(found)}⟧`) : `⟦${hidden}⟧`,
    )
    .join('');
}

const names: Record<number, string> = {
  9: 'TAB',
  13: 'CR',
  27: 'ESC',
  32: 'SPACE',
  127: 'DEL',
  160: 'NBSP',
  173: 'SHY',
  8203: 'ZWSP',
  8204: 'ZWNJ',
  8205: 'ZWJ',
  8206: 'LRM',
  8207: 'RLM',
  8234: 'LRE',
  8235: 'RLE',
  8236: 'PDF',
  8237: 'LRO',
  8238: 'RLO',
  8294: 'LRI',
  8295: 'RLI',
  8296: 'FSI',
  8297: 'PDI',
  65279: 'BOM',
};

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return names[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
