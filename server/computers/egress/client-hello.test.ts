import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readFirstBytes } from './client-hello.ts';

/** What a real client sends first. */
async function captureHello(servername: string | undefined): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port, ...(servername === undefined ? {} : { servername }) });
  client.on('error', () => client.destroy());
  const socket: Socket = (await once(server, 'connection'))[0];
  const hello: Buffer = (await once(socket, 'data'))[0];
  socket.destroy();
  server.close();
  return hello;
}

test('the name is read once the message is whole, however it is cut', async () => {
  const hello = await captureHello('api.example.com');
  for (let length = 0; length < hello.length; length++)
    expect(readFirstBytes(hello.subarray(0, length)).kind, `${length}`).toBe('more');
  const wanted = { kind: 'tls', name: 'api.example.com', encrypted: false };
  expect(readFirstBytes(hello)).toEqual(wanted);
  expect(readFirstBytes(Buffer.concat([hello, Buffer.from('more')]))).toEqual(wanted);
  // One message in many records.
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += 100) {
    const part = message.subarray(at, at + 100);
    records.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  expect(readFirstBytes(Buffer.concat(records))).toEqual(wanted);
});

test('a client that names nothing says so', async () => {
  expect(readFirstBytes(await captureHello(undefined))).toMatchObject({ kind: 'tls', name: null });
});

test('HTTP and everything else are told apart, and nothing makes it throw', async () => {
  expect(readFirstBytes(Buffer.from('GET / HTTP/1.1\r\n'))).toEqual({ kind: 'http' });
  for (const other of ['SSH-2.0-x', '\x04\x01', 'get / http/1.1', '\0'])
    expect(readFirstBytes(Buffer.from(other, 'latin1')), other).toEqual({ kind: 'other' });
  const hello = await captureHello('api.example.com');
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(hello);
      changed[at] = byte;
      readFirstBytes(changed);
    }),
    { numRuns: 500 },
  );
});
