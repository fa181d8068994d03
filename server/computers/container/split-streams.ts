import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';

const headerBytes = 8;

/**
 * An engine sends both streams of a container over one connection, in frames: a byte that tells the stream, three
 * of padding, the length as a big-endian word. No faster than its readers: what they do not take stays with the
 * engine, and so with the command.
 * @returns `ended` settles when the connection has ended or broken; it never rejects
 */
export function splitStreams(source: Readable): {
  stdout: Readable;
  stderr: Readable;
  ended: Promise<void>;
} {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const targets: Record<number, PassThrough> = { 1: stdout, 2: stderr };
  let waiting: Buffer = Buffer.alloc(0);
  let left = 0;
  let target: PassThrough | undefined;

  const take = async (chunk: Buffer) => {
    let rest = waiting.length > 0 ? Buffer.concat([waiting, chunk]) : chunk;
    while (rest.length > 0) {
      if (left === 0) {
        if (rest.length < headerBytes) break;
        target = targets[rest.readUInt8(0)];
        left = rest.readUInt32BE(4);
        rest = rest.subarray(headerBytes);
        continue;
      }
      const part = rest.subarray(0, left);
      left -= part.length;
      rest = rest.subarray(part.length);
      if (target && !target.write(part)) await once(target, 'drain');
    }
    waiting = rest;
  };
  const follow = async () => {
    try {
      for await (const chunk of source) await take(chunk);
    } catch (error) {
      // A connection that breaks ends the streams; how the command ended is asked for elsewhere.
      if (!(error instanceof Error)) throw error;
    } finally {
      stdout.end();
      stderr.end();
    }
  };
  return { stdout, stderr, ended: follow() };
}
