import { createWriteStream, type WriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { maxCapturedBytes, maxOutputFileBytes } from './sandbox.ts';

/** Follows a command's two streams: keeps the first part of each, and all of both in a file. */
interface Capture {
  attach(stdout: Readable, stderr: Readable): void;
  /** Call when both streams have closed. @throws Error where the output file could not be written */
  finish(): Promise<CapturedOutput>;
}

interface CapturedOutput {
  stdout: Buffer;
  stderr: Buffer;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  outputBytes: number;
}

/** @throws Error where the output file cannot be opened */
export async function openCapture(options: {
  outputFile?: string | undefined;
  onOutput?: ((chunk: Uint8Array) => void) | undefined;
}): Promise<Capture> {
  const file = options.outputFile ? await openOutputFile(options.outputFile) : undefined;
  const [stdout, stderr] = [new Head(), new Head()];
  const streams: Readable[] = [];
  let outputBytes = 0;

  /** Backpressure: no faster than the disk, else the excess would gather in our memory. */
  let held = false;
  const holdUntilDrained = (writer: WriteStream) => {
    if (held) return;
    held = true;
    for (const stream of streams) stream.pause();
    writer.once('drain', () => {
      held = false;
      for (const stream of streams) stream.resume();
    });
  };
  const follow = (stream: Readable, head: Head) => {
    streams.push(stream);
    stream.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length;
      head.push(chunk);
      if (file && !file.push(chunk)) holdUntilDrained(file.writer);
      options.onOutput?.(chunk);
    });
  };
  return {
    attach(out, err) {
      follow(out, stdout);
      follow(err, stderr);
      file?.writer.once('error', () => {
        // The command must not hang on a full disk; `finish` reports the failure.
        for (const stream of streams) stream.resume();
      });
    },
    async finish() {
      await file?.close();
      return {
        stdout: stdout.bytes(),
        stderr: stderr.bytes(),
        stdoutTruncated: stdout.truncated,
        stderrTruncated: stderr.truncated,
        outputBytes,
      };
    },
  };
}

/** The first bytes of a stream. */
class Head {
  truncated = false;
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    const room = maxCapturedBytes - this.#length;
    if (chunk.length > room) this.truncated = true;
    if (room <= 0) return;
    const kept = chunk.subarray(0, room);
    this.#chunks.push(kept);
    this.#length += kept.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.#length);
  }
}

async function openOutputFile(path: string) {
  const handle = await open(path, 'w', 0o600);
  const writer = createWriteStream('', { fd: handle });
  let failure: Error | undefined;
  writer.on('error', (error) => {
    failure = error;
  });
  let written = 0;
  let full = false;
  return {
    writer,
    /** False where the writer's buffer is full: wait for `drain`. */
    push(chunk: Buffer): boolean {
      if (full || failure) return true;
      const kept = chunk.subarray(0, maxOutputFileBytes - written);
      written += kept.length;
      const flowing = writer.write(kept);
      if (kept.length === chunk.length) return flowing;
      full = true;
      return writer.write(`\n[the output goes on; this file ends after ${maxOutputFileBytes} bytes]\n`);
    },
    async close(): Promise<void> {
      if (!failure) {
        writer.end();
        await finished(writer);
      }
      if (failure) throw failure;
    },
  };
}
