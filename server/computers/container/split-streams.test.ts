import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitStreams } from './split-streams.ts';

const frame = (stream: number, content: Uint8Array) => {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
};

test('both streams come out whole, however the connection cuts them', async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.integer({ min: 1, max: 20 })), async (parts, cuts) => {
      const source = new PassThrough();
      const { stdout, stderr, ended } = splitStreams(source);
      const read = Promise.all([buffer(stdout), buffer(stderr)]);
      let whole = Buffer.concat(parts.map(([stream, content]) => frame(stream, content)));
      for (const cut of cuts) {
        source.write(whole.subarray(0, cut));
        whole = whole.subarray(cut);
      }
      source.end(whole);
      const [out, err] = await read;
      await ended;
      const wanted = (stream: number) =>
        Buffer.concat(parts.filter(([to]) => to === stream).map(([, bytes]) => bytes));
      expect([out, err]).toEqual([wanted(1), wanted(2)]);
    }),
    { numRuns: 100 },
  );
});

test('what is not read stays in the connection', async () => {
  const source = new PassThrough({ highWaterMark: 1024 });
  const { stdout, ended } = splitStreams(source);
  const piece = frame(1, Buffer.alloc(1016));
  let sent = 0;
  while (sent < 1000 && source.write(piece)) {
    sent++;
    await new Promise(setImmediate);
  }
  expect(sent).toBeLessThan(200);
  stdout.resume();
  if (source.writableNeedDrain) await once(source, 'drain');
  source.end();
  await ended;
});
