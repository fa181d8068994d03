import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';

/** The same bytes read otherwise. */
export interface Readings {
  /** In another encoding: may hold a further one. */
  decoded: Buffer[];
  /** Without what stands between: looked at, and no further. */
  joined: Buffer[];
}

/** @param depth how many encodings have been undone already; the dearer readings are for the outermost */
export function readingsOf(bytes: Buffer, depth: number): Readings {
  const text = bytes.toString('latin1');
  const small = bytes.length <= smallBytes && depth <= 1;
  const decoded: Buffer[] = [];
  const joined: Buffer[] = [];
  const plain = undoEscapes(text);
  if (plain !== text) decoded.push(Buffer.from(plain, 'latin1'));
  // Lines and words may be cut anywhere.
  const dense = text.replace(/(?:\s|\\[rnt])+/g, '');
  if (dense !== text) joined.push(Buffer.from(dense, 'latin1'));
  decoded.push(...runs(dense, small));
  if (small) {
    if (dense !== text) decoded.push(...runs(text, small));
    const letters = dense.replace(/[^A-Za-z0-9]+/g, '');
    if (letters !== dense) {
      joined.push(Buffer.from(letters, 'latin1'));
      decoded.push(...runs(letters, small));
    }
    if (depth === 0 && text.length >= 16) decoded.push(Buffer.from([...dense].reverse().join(''), 'latin1'));
  }
  decoded.push(...numbers(text), ...inflate(bytes));
  const long = (layer: Buffer) => layer.length >= 8;
  return { decoded: decoded.filter(long), joined: joined.filter(long) };
}

/** A body in an encoding that its header names; null where it is not known, cannot be undone or grows too large. */
export function decodeContent(encoding: string, bytes: Buffer): Buffer | null {
  const options = { maxOutputLength: mostInflated };
  try {
    switch (encoding.trim().toLowerCase()) {
      case '':
      case 'identity':
        return bytes;
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(bytes, options);
      case 'deflate':
        return (bytes[0] ?? 0) % 16 === 8 ? inflateSync(bytes, options) : inflateRawSync(bytes, options);
      case 'br':
        return brotliDecompressSync(bytes, options);
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

/** Up to here the dearer readings are tried too: of names, headers and small bodies. */
const smallBytes = 16 * 1024;
const mostInflated = 16 * 1024 ** 2;
const mostStreams = 64;

/** Percent, JSON, shell and HTML escapes. */
function undoEscapes(text: string): string {
  return text
    .replace(/%([0-9a-fA-F]{2})/g, fromHex)
    .replace(/\\u00([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})/g, (_, long?: string, short?: string) =>
      fromHex('', long ?? short ?? ''),
    )
    .replace(/&#x([0-9a-fA-F]{2});/g, fromHex)
    .replace(/&#(\d{2,3});/g, (_, digits: string) => String.fromCharCode(Number(digits) & 0xff))
    .replace(/=([0-9A-F]{2})/g, fromHex);
}

const fromHex = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16));

/** Decodes every run that could be base64, hexadecimal or base32, at each alignment. */
function runs(text: string, small: boolean): Buffer[] {
  const sixty4 = text.match(/[A-Za-z0-9+/_-]{12,}/g) ?? [];
  const hex = text.match(/[0-9a-fA-F]{16,}/g) ?? [];
  // Of sixteen letters in base32 hardly ever all are letters.
  const thirty2 = small ? (text.match(/[A-Za-z2-7]{16,}/g) ?? []).filter((run) => /[2-7]/.test(run)) : [];
  return [
    ...[0, 1, 2, 3].map((offset) => together(sixty4, (run) => Buffer.from(run.slice(offset), 'base64'))),
    ...[0, 1].map((offset) => together(hex, (run) => Buffer.from(run.slice(offset), 'hex'))),
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((offset) => together(thirty2, (run) => decodeBase32(run.slice(offset)))),
  ];
}

function together(parts: readonly string[], decode: (run: string) => Buffer): Buffer {
  const pieces = parts.flatMap((run) => {
    const piece = printable(decode(run));
    return piece.length === 0 ? [] : [piece, gap];
  });
  return pieces.length === 0 ? gap : Buffer.concat(pieces);
}

const gap = Buffer.from([0]);

/** Codes of characters in a list. */
function numbers(text: string): Buffer[] {
  const lists = text.match(/(?:\d{2,3}[\s,;:]+){7,}\d{2,3}/g) ?? [];
  return lists.map((list) => Buffer.from(list.split(/[\s,;:]+/).map((digits) => Number(digits) & 0xff)));
}

/** A run of readable characters that chance hardly makes. */
const readableRun = 12;

/** Only what reads like text, or like something packed, is worth another look. */
function printable(bytes: Buffer): Buffer {
  if (isPacked(bytes, 0) || bytes.includes(gzipBeginning)) return bytes;
  const kept: Buffer[] = [];
  let from = 0;
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x20 && byte < 0x7f) continue;
    if (at - from >= readableRun) kept.push(bytes.subarray(from, at), gap);
    from = at + 1;
  }
  return kept.length === 0 ? nothing : Buffer.concat(kept);
}

const nothing = Buffer.alloc(0);
const gzipBeginning = Buffer.from([0x1f, 0x8b, 8]);

function decodeBase32(text: string): Buffer {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text.toLowerCase()) {
    value = ((value << 5) | alphabet.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  return Buffer.from(bytes);
}

/** What is packed in the bytes, wherever it begins: zlib as in git's packs, gzip, entries of zip files. */
function inflate(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: mostInflated };
  for (let at = 0, tries = 0; at + 8 < bytes.length && tries < mostStreams; at++) {
    if (!isPacked(bytes, at)) continue;
    tries += 1;
    try {
      const rest = bytes.subarray(at);
      if (rest[0] === 0x1f) found.push(gunzipSync(rest, options));
      else if (rest[0] === 0x50)
        found.push(
          inflateRawSync(rest.subarray(30 + rest.readUInt16LE(26) + rest.readUInt16LE(28)), options),
        );
      else found.push(inflateSync(rest, options));
    } catch (error) {
      // It only looked like the beginning of one.
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
  return found;
}

function isPacked(bytes: Buffer, at: number): boolean {
  const [first, second, third] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  if (first === 0x1f) return second === 0x8b && third === 8;
  if (first === 0x50) return second === 0x4b && third === 3 && bytes[at + 3] === 4 && bytes.length > at + 30;
  return first === 0x78 && (second === 0x01 || second === 0x5e || second === 0x9c || second === 0xda);
}
