import { Transform, type TransformCallback } from 'node:stream';
import { decodeContent } from './decodings.ts';
import type { Leak, SecretScan } from './secret-scan.ts';

/** Something was kept from leaving; the request goes no further. */
export class Stopped extends Error {
  readonly leak: Leak;

  constructor(leak: Leak) {
    super(leak.reason);
    this.name = 'Stopped';
    this.leak = leak;
  }
}

const blockBytes = 128 * 1024;
/** What is packed as a whole can only be read as a whole. */
const mostPackedBytes = 8 * 1024 ** 2;

/**
 * Lets a body through block by block, each only after the one behind it has been looked at too, so that a secret in
 * the seam is found before any of it has left. A packed body is held until its end.
 */
export class ScannedBody extends Transform {
  readonly #scan: SecretScan;
  readonly #encoding: string;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #looked: Buffer | null = null;
  #packed: boolean | null = null;
  /** That came in. */
  bytes = 0;

  constructor(scan: SecretScan, encoding: string) {
    super();
    this.#scan = scan;
    this.#encoding = encoding;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    this.#packed ??= this.#isPacked(chunk);
    if (this.#packed) {
      const tooLarge = this.#pendingBytes > mostPackedBytes;
      done(
        tooLarge
          ? new Stopped({ secret: 'unknown', reason: 'it is packed and too large to be inspected' })
          : null,
      );
      return;
    }
    if (this.#pendingBytes < blockBytes) {
      done();
      return;
    }
    const failure = this.#look();
    // A large body must not keep the server from everything else.
    setImmediate(() => done(failure));
  }

  override _flush(done: TransformCallback): void {
    const failure = this.#packed ? this.#lookPacked() : this.#look();
    if (failure === null && this.#looked !== null) this.push(this.#looked);
    done(failure);
  }

  #look(): Stopped | null {
    const block = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    const leak = this.#scan.block(block);
    if (leak !== null) return new Stopped(leak);
    if (this.#looked !== null) this.push(this.#looked);
    this.#looked = block;
    return null;
  }

  #lookPacked(): Stopped | null {
    const bytes = Buffer.concat(this.#pending);
    const plain = decodeContent(this.#encoding, bytes);
    if (plain === null) return new Stopped({ secret: 'unknown', reason: 'its encoding cannot be inspected' });
    const leak = this.#scan.block(plain) ?? (plain === bytes ? null : this.#scan.block(bytes));
    this.#looked = bytes;
    return leak === null ? null : new Stopped(leak);
  }

  #isPacked(first: Buffer): boolean {
    const named = this.#encoding !== '' && this.#encoding !== 'identity';
    return named || (first[0] === 0x1f && first[1] === 0x8b) || (first[0] === 0x50 && first[1] === 0x4b);
  }
}

const mostFrameBytes = 1024 ** 2;

/** A client's side of a WebSocket: each frame leaves only after it was looked at, without its mask. */
export class ScannedFrames extends Transform {
  readonly #scan: SecretScan;
  #rest: Buffer = Buffer.alloc(0);
  bytes = 0;

  constructor(scan: SecretScan) {
    super();
    this.#scan = scan;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    done(this.#passFrames());
  }

  #passFrames(): Stopped | null {
    for (;;) {
      const frame = readFrame(this.#rest);
      if (frame === 'more') return null;
      if (typeof frame === 'string') return new Stopped({ secret: 'unknown', reason: frame });
      const leak = this.#scan.block(frame.payload);
      if (leak !== null) return new Stopped(leak);
      this.push(this.#rest.subarray(0, frame.length));
      this.#rest = this.#rest.subarray(frame.length);
    }
  }

  override _flush(done: TransformCallback): void {
    done();
  }
}

type Frame = { length: number; payload: Buffer };

function readFrame(bytes: Buffer): Frame | string {
  if (bytes.length < 2) return 'more';
  const [flags = 0, second = 0] = bytes;
  if ((flags & 0x70) !== 0) return 'its frames are packed and cannot be inspected';
  if ((second & 0x80) === 0) return 'its frames are not masked as a client must';
  const short = second & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < head + 4) return 'more';
  const size =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (size > mostFrameBytes) return 'a frame is too large to be inspected';
  if (bytes.length < head + 4 + size) return 'more';
  const mask = bytes.subarray(head, head + 4);
  const payload = Buffer.from(bytes.subarray(head + 4, head + 4 + size));
  for (let index = 0; index < size; index++) payload[index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0);
  return { length: head + 4 + size, payload };
}

/** Blots a secret out of an answer, with as many characters as it has; holds back only what could be its beginning. */
export class BlottedBody extends Transform {
  readonly #secrets: readonly Buffer[];
  #rest: Buffer = Buffer.alloc(0);
  bytes = 0;

  constructor(secrets: readonly string[]) {
    super();
    this.#secrets = secrets.map((secret) => Buffer.from(secret));
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length;
    if (this.#secrets.length === 0) {
      done(null, chunk);
      return;
    }
    const bytes = Buffer.from(this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]));
    for (const secret of this.#secrets) {
      for (let at = bytes.indexOf(secret); at >= 0; at = bytes.indexOf(secret, at + secret.length))
        bytes.fill('*', at, at + secret.length);
    }
    const held = Math.max(0, ...this.#secrets.map((secret) => beginningAtEnd(bytes, secret)));
    this.push(bytes.subarray(0, bytes.length - held));
    this.#rest = bytes.subarray(bytes.length - held);
    done();
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#rest);
  }
}

function beginningAtEnd(bytes: Buffer, secret: Buffer): number {
  for (let length = Math.min(secret.length - 1, bytes.length); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(secret.subarray(0, length))) return length;
  }
  return 0;
}
