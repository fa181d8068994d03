/** What the first bytes of a tunnel are. */
export type FirstBytes =
  | { kind: 'more' }
  /** `name` is what the client says that it wants to reach (SNI); null where it says nothing. */
  | { kind: 'tls'; name: string | null; encrypted: boolean }
  | { kind: 'http' }
  | { kind: 'other' };

const mostBytes = 64 * 1024;
const [handshake, clientHello, serverName, encryptedHello] = [0x16, 1, 0, 0xfe0d];

/** Reads a TLS ClientHello as far as its name; the bytes may be cut anywhere. */
export function readFirstBytes(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return { kind: 'more' };
  if (bytes[0] !== handshake) {
    if (!/^[A-Z]+( |$)/.test(bytes.toString('latin1', 0, 12))) return { kind: 'other' };
    return { kind: 'http' };
  }
  const message = joinRecords(bytes);
  if (message === null) return bytes.length > mostBytes ? { kind: 'other' } : { kind: 'more' };
  const reader = new Reader(message);
  try {
    if (reader.number(1) !== clientHello) return { kind: 'other' };
    reader.skip(3 + 2 + 32);
    reader.skip(reader.number(1));
    reader.skip(reader.number(2));
    reader.skip(reader.number(1));
    return {
      kind: 'tls',
      ...readExtensions(reader.left() > 0 ? reader.take(2) : new Reader(Buffer.alloc(0))),
    };
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'other' };
    throw error;
  }
}

function readExtensions(extensions: Reader): { name: string | null; encrypted: boolean } {
  let name: string | null = null;
  let encrypted = false;
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const content = extensions.take(2);
    if (type === encryptedHello) encrypted = true;
    if (type !== serverName) continue;
    const names = content.take(2);
    if (names.number(1) !== 0 || name !== null) throw new RangeError('not one host name');
    name = names.take(2).rest().toString('latin1');
    if (names.left() > 0) throw new RangeError('not one host name');
  }
  return { name, encrypted };
}

/** The first handshake message, which may be spread over records; null where it is not whole yet. */
function joinRecords(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== handshake || at + 5 + length > bytes.length) break;
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  const message = Buffer.concat(parts);
  if (message.length < 4) return null;
  const length = 4 + message.readUIntBE(1, 3);
  return message.length < length ? null : message.subarray(0, length);
}

/** Every read beyond the end is a RangeError. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: number): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  skip(length: number): void {
    if (length > this.left()) throw new RangeError('cut short');
    this.#at += length;
  }

  /** What follows its own length, which has `size` bytes. */
  take(size: number): Reader {
    const length = this.number(size);
    const from = this.#at;
    this.skip(length);
    return new Reader(this.#bytes.subarray(from, this.#at));
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}
