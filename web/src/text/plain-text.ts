const esc = String.fromCodePoint(0x1b);
const bell = String.fromCodePoint(0x07);
const csi = String.fromCodePoint(0x9b);

/** Control sequences, titles and links, device strings, single escapes: everything that a terminal obeys. */
const terminalSequences = new RegExp(
  [
    `${esc}\\[[0-?]*[ -/]*[@-~]`,
    `${esc}\\][^${bell}${esc}]*(?:${bell}|${esc}\\\\)?`,
    `${esc}[PX^_][^${esc}]*(?:${esc}\\\\)?`,
    `${esc}[ -/]*[0-~]`,
    `${csi}[0-?]*[ -/]*[@-~]`,
  ].join('|'),
  'g',
);

/**
 * Output of programs as a person can read it: terminal sequences are gone, a line drawn over and over shows
 * its last state. Everything else stays, as text.
 */
export function plainText(output: string): string {
  return output
    .replace(terminalSequences, '')
    .replaceAll('\r\n', '\n')
    .replace(/[^\n]*\r(?=[^\n])/g, '');
}

export interface TextPart {
  text: string;
  /** What the character is called, where the part is one that cannot be seen. */
  hidden: string | null;
}

/** All that takes no ink: controls, format and bidi characters, fillers, odd spaces, private and broken code points. */
const invisible = /(?![ \n\t])[\p{Cc}\p{Cf}\p{Z}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]/gu;

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

const names: Record<number, string> = {
  13: 'CR',
  27: 'ESC',
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
