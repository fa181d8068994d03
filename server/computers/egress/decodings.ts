import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';

/** What a byte string would be in another encoding: each answer is looked at like the bytes themselves. */
export function decodingsOf(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1');
  const found: Buffer[] = [];
  const add = (decoded: string | Buffer) => {
    const buffer = typeof decoded === 'string' ? Buffer.from(decoded, 'latin1') : decoded;
    if (buffer.length >= 8) found.push(buffer);
  };
  const plain = undoEscapes(text);
  if (plain !== text) add(plain);
  const joined = text.replace(/(?:\s|\\[rnt])+/g, '');
  if (joined !== text) add(joined);
  const small = bytes.length <= smallBytes;
  if (small) {
    const letters = text.replace(/[^A-Za-z0-9]/g, '');
    if (letters !== text && letters !== joined) add(letters);
  }
  for (const decoded of runs(text, small)) add(decoded);
  for (const decoded of inflate(bytes)) add(decoded);
  return found;
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

/** Up to here the dearer readings are tried too: what is in names, headers and small bodies. */
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

/** Decodes every run that could be base64, hexadecimal, base32 or a list of numbers, at each alignment. */
function runs(text: string, small: boolean): Buffer[] {
  const found: Buffer[] = [];
  const parts = (pattern: RegExp) => text.match(pattern) ?? [];
  const together = (pieces: Buffer[]) => {
    if (pieces.length > 0) found.push(Buffer.concat(pieces.flatMap((piece) => [piece, gap])));
  };
  const sixty4 = parts(/[A-Za-z0-9+/_-]{12,}/g);
  for (let offset = 0; offset < 4; offset++)
    together(sixty4.map((run) => printable(Buffer.from(run.slice(offset), 'base64'))));
  const hex = parts(/[0-9a-fA-F]{16,}/g);
  for (let offset = 0; offset < 2; offset++)
    together(
      hex.map((run) =>
        printable(Buffer.from(run.slice(offset, run.length - ((run.length - offset) % 2)), 'hex')),
      ),
    );
  together(
    parts(/(?:\d{2,3}[\s,;:]+){7,}\d{2,3}/g).map((run) =>
      Buffer.from(run.split(/[\s,;:]+/).map((digits) => Number(digits) & 0xff)),
    ),
  );
  if (small) {
    const thirty2 = parts(/[A-Za-z2-7]{16,}/g);
    for (let offset = 0; offset < 8; offset++)
      together(thirty2.map((run) => printable(decodeBase32(run.slice(offset)))));
    if (text.length >= 16) found.push(Buffer.from([...text].reverse().join(''), 'latin1'));
  }
  return found;
}

const gap = Buffer.from([0]);

/** Only what reads like text, or like something packed, is worth another look. */
function printable(bytes: Buffer): Buffer {
  if (isPacked(bytes, 0)) return bytes;
  let readable = 0;
  for (const byte of bytes) if (byte >= 0x20 && byte < 0x7f) readable += 1;
  if (readable >= bytes.length * 0.9) return bytes;
  const kept = bytes.toString('latin1').match(/[\x20-\x7e]{8,}/g) ?? [];
  return Buffer.from(kept.join('\0'), 'latin1');
}

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
