import { stripVTControlCharacters } from 'node:util';

/** Text of any bytes; what is not UTF-8 becomes the replacement character. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** The text, or null where the bytes are not UTF-8, so that writing it back would change them. */
export function decodeExactly(bytes: Uint8Array): string | null {
  const text = decodeText(bytes);
  return Buffer.from(text).equals(bytes) ? text : null;
}

/** What a person at a terminal would see at the end: no colours, and only the last state of a progress line. */
export function plainOutput(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\r+\n/g, '\n')
    .replace(/^[^\n]*\r(?=[^\n])/gm, '')
    .replaceAll('\r', '')
    .replaceAll('\u0000', '');
}

export interface Extract {
  text: string;
  /** Characters between head and tail that are not in `text`. */
  left: number;
}

/** The head and the tail of a text that is longer than `most` characters, cut at line ends where it can be. */
export function extract(text: string, most: number): Extract {
  if (text.length <= most) return { text, left: 0 };
  const head = cutAfterLine(text.slice(0, Math.floor(most / 3)));
  const tail = cutBeforeLine(text.slice(text.length - (most - Math.floor(most / 3))));
  const left = text.length - head.length - tail.length;
  return { text: `${head}\n[… ${left} characters left out …]\n${tail}`, left };
}

/** What kind of binary file it is, or null where it is text. */
export function binaryKind(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 8_192));
  const known = signatures.find(([signature]) => start.subarray(0, signature.length).equals(signature));
  if (known) return known[1];
  return start.includes(0) ? 'binary data' : null;
}

const signatures: [Buffer, string][] = [
  [Buffer.from('\x89PNG', 'latin1'), 'a PNG image'],
  [Buffer.from('\xff\xd8\xff', 'latin1'), 'a JPEG image'],
  [Buffer.from('GIF8'), 'a GIF image'],
  [Buffer.from('%PDF-'), 'a PDF document'],
  [Buffer.from('PK\x03\x04', 'latin1'), 'a ZIP archive'],
  [Buffer.from('\x1f\x8b', 'latin1'), 'a gzip archive'],
  [Buffer.from('\x7fELF', 'latin1'), 'an ELF program'],
  [Buffer.from('\0asm', 'latin1'), 'a WebAssembly module'],
  [Buffer.from('SQLite format 3\0', 'latin1'), 'an SQLite database'],
];

function cutAfterLine(text: string): string {
  const end = text.lastIndexOf('\n');
  return withoutHalfPair(end > text.length / 2 ? text.slice(0, end) : text);
}

function cutBeforeLine(text: string): string {
  const end = text.indexOf('\n');
  return withoutHalfPair(end >= 0 && end < text.length / 2 ? text.slice(end + 1) : text);
}

function withoutHalfPair(text: string): string {
  return text.replace(/^[\udc00-\udfff]/, '').replace(/[\ud800-\udbff]$/, '');
}
