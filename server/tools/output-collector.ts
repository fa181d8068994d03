import { decodeText, extract, plainOutput } from './text.ts';

const kept = 128 * 1024;

/** Keeps the beginning and the end of a stream of any length. */
export interface OutputCollector {
  add(chunk: Uint8Array): void;
  /** What a model reads of it, and how much was left out in all. */
  read(mostCharacters: number): { text: string; left: number };
}

export function collectOutput(): OutputCollector {
  const head: Uint8Array[] = [];
  const tail: Uint8Array[] = [];
  let headBytes = 0;
  let tailBytes = 0;
  let dropped = 0;

  const addToTail = (chunk: Uint8Array) => {
    tail.push(chunk);
    tailBytes += chunk.length;
    while (tailBytes - (tail[0]?.length ?? 0) >= kept) {
      const gone = tail.shift()?.length ?? 0;
      tailBytes -= gone;
      dropped += gone;
    }
  };
  return {
    add(chunk) {
      const room = Math.min(kept - headBytes, chunk.length);
      if (room > 0) {
        head.push(Uint8Array.from(chunk.subarray(0, room)));
        headBytes += room;
      }
      if (room < chunk.length) addToTail(Uint8Array.from(chunk.subarray(room)));
    },
    read(most) {
      if (dropped === 0) return extract(plainOutput(decodeText(Buffer.concat([...head, ...tail]))), most);
      const middle = `\n[… ${dropped} bytes left out …]\n`;
      const joined =
        plainOutput(decodeText(Buffer.concat(head))) + middle + plainOutput(decodeText(Buffer.concat(tail)));
      const { text, left } = extract(joined, most);
      return {
        text: text.replace(/\[… \d+ characters/, `[… ${left + dropped} characters`),
        left: left + dropped,
      };
    },
  };
}
