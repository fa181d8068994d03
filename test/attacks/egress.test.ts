import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EgressFixture, openEgressFixture } from '../../server/computers/egress/egress-fixture.ts';
import { openWorld, type World } from './world.ts';

/** What a name service answers: an attacker's may answer anything, and another thing the next time. */
const answers = new Map<string, string[]>();
const lookups: string[] = [];
let world: World;
let fixture: EgressFixture;
beforeAll(async () => {
  world = await openWorld(({ url, method }, response) => {
    if (url.startsWith('/redirect?to='))
      response.writeHead(302, { location: decodeURIComponent(url.slice('/redirect?to='.length)) });
    response.end(`${method} ${url}`);
  });
  fixture = await openEgressFixture({
    way: {
      direct: [],
      authorities: world.authority,
      lookup: async (host) => {
        lookups.push(host);
        const next = answers.get(host);
        const address = next !== undefined && next.length > 1 ? next.shift() : next?.[0];
        return address === undefined ? [] : [{ address, family: address.includes(':') ? 6 : 4 }];
      },
    },
  });
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});
const ports = () => [world.port, world.securePort, 80, 443];
const last = () => fixture.entries.at(-1);

test.each([
  'evil.com\0.allowed.com',
  'evil.com%00.allowed.com',
  'allowed.com.evil.com',
  'evilallowed.com',
  'xallowed.com',
  'allowed.com.',
  'allowed.com@evil.com',
  'evil.com#.allowed.com',
  'evil.com?.allowed.com',
  'evil.com\\.allowed.com',
  'evil.com/.allowed.com',
  'allowed。com',
  'аllowed.com',
  'allowed.com\t',
  '127.evil.com',
  'sub.allowed.com',
])('31: %j is not allowed.com', async (host) => {
  fixture.hold({ rules: [{ host: 'allowed.com', ports: ports(), private: true }] });
  answers.clear();
  lookups.length = 0;
  const { status, socket } = await fixture.connect(`${Buffer.from(host).toString('latin1')}:443`);
  socket.destroy();
  expect([400, 403, 0]).toContain(status);
  const raw = connect(fixture.session.socketPath);
  raw.end(Buffer.from(`GET http://${host}/ HTTP/1.1\r\nHost: allowed.com\r\n\r\n`));
  expect(await text(raw)).toMatch(/^(HTTP\/1\.1 (400|403)|$)/);
  expect(lookups).toEqual([]);
});

test('31, benign: the name itself in any case, and names below it by a wildcard', async () => {
  fixture.hold({
    rules: [
      { host: 'allowed.com', ports: ports(), private: true },
      { host: '*.wild.com', ports: ports(), private: true },
    ],
  });
  answers.set('allowed.com', ['127.0.0.1']).set('a.b.wild.com', ['127.0.0.1']);
  expect((await fixture.ask(`http://ALLOWED.com:${world.port}/x`)).body).toBe('GET /x');
  expect((await fixture.ask(`http://a.b.wild.com:${world.port}/x`)).status).toBe(200);
  expect((await fixture.ask(`http://wild.com:${world.port}/x`)).status).toBe(403);
});

const inside = [
  ...[
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0x7f.1',
    '127.0.0.1.',
    '[::1]',
    '[::]',
  ],
  ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
  ...[
    '[2001:0:4136:e378:8000:63bf:80ff:fffe]',
    '[fe80::1%25lo]',
    '169.254.169.254',
    '0xa9fea9fe',
    '[fd00:ec2::254]',
  ],
  ...['10.0.0.1', '100.100.100.200', '0.0.0.0', '0', 'localhost', '168.63.129.16'],
];
test.each(inside)('32: a list with a wildcard and public hosts does not reach %s', async (host) => {
  answers.set('localhost', ['127.0.0.1']);
  // Whoever wrote the list named it even; it is not said to be private.
  const named = host.startsWith('[') ? '[::1]' : '127.0.0.1';
  fixture.hold({
    rules: ['*.com', 'localhost', '169.254.169.254', named].map((each) => ({ host: each, ports: ports() })),
  });
  world.visits.length = 0;
  for (const port of [world.port, 80]) {
    const { status, socket } = await fixture.connect(`${host}:${port}`);
    if (status === 200) {
      socket.resume().write(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      expect(await text(socket)).toContain('403');
    } else socket.destroy();
  }
  expect(world.visits).toEqual([]);
  expect(last()).toMatchObject({ decision: 'refused' });
});

test('32: a name that resolves inside is refused, also at its second answer, and beside a public one', async () => {
  fixture.hold({
    rules: ['rebound.com', 'mixed.com', 'mapped.com', 'meta.com'].map((host) => ({ host, ports: ports() })),
  });
  answers
    .set('rebound.com', ['127.0.0.1'])
    .set('mapped.com', ['::ffff:127.0.0.1'])
    .set('meta.com', ['169.254.169.254']);
  for (const host of ['rebound.com', 'mapped.com', 'meta.com']) {
    expect((await fixture.ask(`http://${host}:${world.port}/`)).status).toBe(403);
    expect(last()?.reason).toContain('not public');
  }
  // Resolved once: what the connection goes to is what was judged.
  fixture.hold({ rules: [{ host: 'pinned.com', ports: ports(), private: true }] });
  answers.set('pinned.com', ['127.0.0.1', '10.255.255.1']);
  lookups.length = 0;
  expect((await fixture.ask(`http://pinned.com:${world.port}/`)).status).toBe(200);
  expect(lookups).toEqual(['pinned.com']);
});

test('32: each hop of a redirect is judged anew; within the list it is followed', async () => {
  fixture.hold({ rules: [{ host: 'localhost', ports: [world.port], private: true }] });
  answers.set('localhost', ['127.0.0.1']);
  const at = `http://localhost:${world.port}`;
  const follow = async (to: string) => {
    const first = await fixture.ask(`${at}/redirect?to=${encodeURIComponent(to)}`);
    return fixture.ask(String(first.headers.location));
  };
  expect((await follow(`${at}/inside`)).body).toBe('GET /inside');
  for (const to of [
    'http://169.254.169.254/latest/',
    `http://127.0.0.1:${world.port}/`,
    'http://evil.com/',
    `http://localhost:${world.securePort}/`,
  ])
    expect((await follow(to)).status, to).toBe(403);
});

test('32: a WebSocket is judged like a request, and looked through', async () => {
  const value = 'socket-Secret-19zX-77';
  let heard = '';
  const server = createServer();
  server.on('upgrade', (_request, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      heard += unmask(bytes);
      socket.write('heard');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const rule = { host: 'localhost', ports: [port], private: true };
  const open = (upgrade: string) =>
    request({
      socketPath: fixture.session.socketPath,
      path: `http://localhost:${port}/devtools`,
      headers: {
        connection: 'Upgrade',
        upgrade,
        'sec-websocket-key': 'x',
        'sec-websocket-extensions': 'permessage-deflate',
      },
    }).end();
  fixture.hold({ rules: [rule] });
  const [refused] = await once(open('websocket'), 'response');
  expect(refused.statusCode).toBe(403);
  fixture.hold({ rules: [{ ...rule, websocket: true }], secrets: [{ name: 'socket', value }] });
  const [other] = await once(open('h2c'), 'response');
  expect(other.statusCode).toBe(403);
  const socket: Duplex = (await once(open('websocket'), 'upgrade'))[1];
  socket.on('error', () => undefined);
  socket.write(masked('hello'));
  expect(String((await once(socket, 'data'))[0])).toBe('heard');
  const recorded = fixture.entries.length;
  socket.write(masked(Buffer.from(value).toString('base64')));
  await once(socket, 'close');
  expect(heard).toBe('hello');
  expect(fixture.entries.slice(recorded)).toMatchObject([{ decision: 'stopped', secret: 'socket' }]);
  server.close();
});

function masked(words: string): Buffer {
  const mask = Buffer.from([7, 77, 177, 17]);
  const payload = Buffer.from(words).map((byte, index) => byte ^ (mask[index & 3] ?? 0));
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload]);
}

function unmask(frame: Buffer): string {
  return frame
    .subarray(6)
    .map((byte, index) => byte ^ (frame[2 + (index & 3)] ?? 0))
    .toString();
}

test('32: a tunnel cannot be used for another host than it was opened for', async () => {
  fixture.hold({ rules: [{ host: 'localhost', ports: [world.securePort, world.port], private: true }] });
  answers.set('localhost', ['127.0.0.1']);
  const fronted = await fixture.connect(`localhost:${world.securePort}`);
  const secured = tlsConnect({ socket: fronted.socket, servername: 'evil.com', rejectUnauthorized: false });
  await once(secured, 'close').catch(() => undefined);
  expect(last()?.reason).toContain('names another host');
  const inner = await fixture.connect(`localhost:${world.port}`);
  inner.socket.resume().write('GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n');
  expect(await text(inner.socket)).toContain('403');
  // Two requests in one: what a server might read as a second one is never passed on.
  const smuggled = connect(fixture.session.socketPath);
  smuggled.end(
    `POST http://localhost:${world.port}/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://evil.com/ HTTP/1.1\r\nHost: evil.com\r\n\r\n`,
  );
  expect(await text(smuggled)).toMatch(/^HTTP\/1\.1 400/);
});

test('33: a secret in a name is neither looked up nor written down', async () => {
  const value = 'dns-Secret-40pW-vN8';
  fixture.hold({ rules: [{ host: '*.example.com', ports: ports() }], secrets: [{ name: 'dns', value }] });
  lookups.length = 0;
  const hex = Buffer.from(value).toString('hex');
  const names = [
    `${hex}.example.com`,
    `${hex.slice(0, 20)}.${hex.slice(20)}.example.com`,
    `${value}.example.com`,
  ];
  for (const name of names) {
    const { status, socket } = await fixture.connect(`${name}:443`);
    socket.destroy();
    expect(status).toBe(403);
    expect((await fixture.ask(`http://${name}/`)).status).toBe(403);
    expect(last()).toMatchObject({ host: '(withheld)', decision: 'stopped', secret: 'dns' });
  }
  expect(lookups).toEqual([]);
  expect((await fixture.connect('plain.example.com:443')).status).toBe(200);
});

test('33: what may leave can be refused by others too, and by the loss of the lease', async () => {
  const rules = [{ host: 'localhost', ports: [world.port], private: true }];
  answers.set('localhost', ['127.0.0.1']);
  fixture.hold({
    rules,
    mayLeave: async ({ host }) => (host === 'localhost' ? 'a person is asked first' : null),
  });
  expect(await fixture.ask(`http://localhost:${world.port}/`)).toMatchObject({
    status: 403,
    body: 'Mission Control: a person is asked first.\n',
  });
  fixture.hold({ rules, refusal: 'the run is no longer held by this worker' });
  expect((await fixture.ask(`http://localhost:${world.port}/`)).status).toBe(403);
  fixture.hold({ rules });
  expect((await fixture.ask(`http://localhost:${world.port}/`)).status).toBe(200);
});
