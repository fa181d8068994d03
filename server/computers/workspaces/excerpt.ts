export interface ExcerptCollector {
  add(chunk: Uint8Array): void;
  /** Head and tail, with a line between that says how much is left out. */
  text(): string;
}

/** Keeps the first and the last bytes of a stream, in constant space. */
export function excerptCollector(headBytes: number, tailBytes: number): ExcerptCollector {
  let head: Buffer = Buffer.alloc(0);
  let tail: Buffer = Buffer.alloc(0);
  let total = 0;
  return {
    add(chunk) {
      total += chunk.length;
      const forHead = Math.min(chunk.length, headBytes - head.length);
      if (forHead > 0) head = Buffer.concat([head, chunk.subarray(0, forHead)]);
      const rest = chunk.subarray(Math.max(forHead, chunk.length - tailBytes));
      const kept = Math.max(0, tailBytes - rest.length);
      tail = Buffer.concat([kept === 0 ? Buffer.alloc(0) : tail.subarray(-kept), rest]);
    },
    text() {
      const omitted = total - head.length - tail.length;
      const gap = omitted > 0 ? `\n… ${omitted} bytes left out …\n` : '';
      return `${head.toString('utf8')}${headBytes > 0 ? gap : ''}${tail.toString('utf8')}`;
    },
  };
}
