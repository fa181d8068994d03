import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates } from '../../../test/certificates.ts';
import { type EgressFixture, openEgressFixture } from './egress-fixture.ts';

const certificates = makeCertificates();
const received: { url: string; headers: IncomingMessage['headers']; body: string }[] = [];
const answer = async (request: IncomingMessage, response: import('node:http').ServerResponse) => {
  const body = await text(request);
  received.push({ url: request.url ?? '', headers: request.headers, body });
  response.setHeader('x-echo', String(request.headers.authorization ?? ''));
  response.end(
    `${request.method} ${request.url} ${request.headers.host} ${request.headers.authorization ?? ''} ${body.length}`,
  );
};
const plain = createServer((request, response) => void answer(request, response));
const secure = createSecureServer(certificates.server, (request, response) => void answer(request, response));
const silent = createTcpServer(() => undefined);

let fixture: EgressFixture;
const portOf = (server: Server | typeof plain) => (server.address() as AddressInfo).port;
beforeAll(async () => {
  for (const server of [plain, secure, silent]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  fixture = await openEgressFixture({
    way: {
      direct: [],
      authorities: certificates.authority,
      lookup: async (host) => (host === 'public.example' ? [] : [{ address: '127.0.0.1', family: 4 }]),
    },
  });
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  for (const server of [plain, secure, silent]) server.close();
});
const here = (server: typeof plain | typeof secure, more = {}) => ({
  host: 'localhost',
  ports: [portOf(server)],
  private: true,
  ...more,
});

test('what is allowed passes, plain and through a tunnel, and is recorded without its query', async () => {
  fixture.hold({ rules: [here(plain), here(secure)] });
  fixture.entries.length = 0;
  const one = await fixture.ask(`http://localhost:${portOf(plain)}/a?b=c`, { method: 'POST', body: 'hello' });
  expect(one).toMatchObject({ status: 200, body: `POST /a?b=c localhost:${portOf(plain)}  5` });
  const other = await fixture.ask(`https://localhost:${portOf(secure)}/d?e=f`);
  expect(other).toMatchObject({ status: 200, body: `GET /d?e=f localhost:${portOf(secure)}  0` });
  expect(fixture.entries).toMatchObject([
    { host: 'localhost', method: 'POST', path: '/a', decision: 'allowed', status: 200, sentBytes: 5 },
    { host: 'localhost', method: 'GET', path: '/d', decision: 'allowed', status: 200, port: portOf(secure) },
  ]);
});

test('methods, paths and WebSockets are those of the rule', async () => {
  fixture.hold({ rules: [here(plain, { methods: ['GET'], pathPrefix: '/api' })] });
  const at = `http://localhost:${portOf(plain)}`;
  expect((await fixture.ask(`${at}/api/x`)).status).toBe(200);
  for (const path of ['/apix', '/', '/api/../x', '/api/%2e%2e/x', '/api//x', '/api\\..\\x'])
    expect((await fixture.ask(`${at}${path}`.replace('/api/../', '/api/%2E%2e/'))).status, path).toBe(403);
  expect((await fixture.ask(`${at}/api/x`, { method: 'DELETE' })).status).toBe(403);
  received.length = 0;
  await fixture.ask(`${at}/api/x`, { headers: { 'x-http-method-override': 'DELETE' } });
  expect(received[0]?.headers['x-http-method-override']).toBeUndefined();
  expect(fixture.entries.at(-2)).toMatchObject({
    decision: 'refused',
    reason: expect.stringContaining('DELETE'),
  });
});

test('a secret is stopped in each part of a request before any of it left', async () => {
  const value = 'sEcr3t-9xQ2_mLp0.ZzTq7';
  fixture.hold({ rules: [here(plain), here(secure)], secrets: [{ name: 'deploy', value }] });
  received.length = 0;
  fixture.entries.length = 0;
  const at = `https://localhost:${portOf(secure)}`;
  const encoded = Buffer.from(value).toString('base64url');
  const asked = await Promise.all([
    fixture.ask(`${at}/?q=${value}`),
    fixture.ask(`${at}/${encoded}/x`),
    fixture.ask(at, { headers: { 'x-a': Buffer.from(value).toString('hex') } }),
    fixture.ask(at, { headers: { cookie: `a=${encodeURIComponent(encoded)}` } }),
    fixture.ask(at, { method: 'POST', body: `{"a":"${value}"}` }),
    fixture.ask(at, { method: 'POST', body: `${'x'.repeat(200_000)}${value}${'x'.repeat(200_000)}` }),
    fixture.ask(`http://${value.slice(0, 12)}.localhost:${portOf(plain)}/${value.slice(8)}`),
  ]);
  expect(asked.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 403, 403]);
  expect(asked[0]?.body).toBe('Mission Control: stopped: it holds the secret deploy.\n');
  expect(received).toEqual([]);
  expect(fixture.entries.every(({ decision, secret }) => decision === 'stopped' && secret === 'deploy')).toBe(
    true,
  );
  expect(JSON.stringify(fixture.entries)).not.toMatch(/sEcr3t|mLp0|9xQ2/i);
  expect((await fixture.ask(`${at}/ok`, { method: 'POST', body: 'x'.repeat(500_000) })).status).toBe(200);
});

test('a brokered credential is added at the edge for its host alone, and does not come back', async () => {
  const value = 'br0kered-Value-77Zz';
  const brokered = [
    { name: 'api', host: 'localhost', port: portOf(secure), insecure: false, scope: 'read' as const },
  ];
  const fill = async () => ({ name: 'Authorization', value: `Bearer ${value}`, secrets: [value] });
  fixture.hold({
    rules: [here(secure, { methods: ['GET', 'POST'] })],
    brokered,
    secrets: [{ name: 'api', value }],
    fill,
  });
  received.length = 0;
  const said = await fixture.ask(`https://localhost:${portOf(secure)}/me`, {
    headers: { authorization: 'Bearer mine' },
  });
  expect(received[0]?.headers.authorization).toBe(`Bearer ${value}`);
  expect(said.status).toBe(200);
  expect(`${said.body} ${JSON.stringify(said.headers)}`).not.toContain(value);
  expect(said.body).toContain('*'.repeat(value.length));
  expect(fixture.entries.at(-1)).toMatchObject({ credential: 'api', decision: 'allowed' });
  // Beyond its scope the request goes without it.
  await fixture.ask(`https://localhost:${portOf(secure)}/me`, { method: 'POST', body: 'x' });
  expect(received.at(-1)?.headers.authorization).toBeUndefined();
  fixture.hold({ rules: [here(secure)], brokered, fill: async () => null });
  expect(await fixture.ask(`https://localhost:${portOf(secure)}/me`)).toMatchObject({ status: 403 });
  fixture.hold({ rules: [here(secure)], refusal: 'the lease is lost' });
  expect(await fixture.ask(`https://localhost:${portOf(secure)}/me`)).toMatchObject({ status: 403 });
});

test('a tunnel that is not inspected must ask for its own host, by TLS', async () => {
  fixture.hold({ rules: [here(secure, { inspect: false })] });
  const authority = `localhost:${portOf(secure)}`;
  const good = await fixture.connect(authority);
  const direct = tlsConnect({ socket: good.socket, servername: 'localhost', ca: certificates.authority });
  await once(direct, 'secureConnect');
  direct.destroy();
  for (const servername of ['other.example', undefined]) {
    const bad = await fixture.connect(authority);
    const wrong = tlsConnect({
      socket: bad.socket,
      ...(servername ? { servername } : {}),
      ca: certificates.authority,
    });
    const [error] = await once(wrong, 'error');
    expect(error).toBeInstanceOf(Error);
  }
  const other = await fixture.connect(authority);
  other.socket.resume().write('SSH-2.0-x\r\n');
  await once(other.socket, 'close');
  expect(
    fixture.entries
      .slice(-3)
      .map(({ reason }) => reason)
      .sort(),
  ).toEqual([
    'its TLS names another host than it asked for',
    'its TLS names no host',
    'what came through the tunnel is neither TLS nor HTTP',
  ]);
});

test('names that resolve inside are refused, and so is a host that the list does not hold', async () => {
  fixture.hold({
    rules: [
      { host: 'rebound.example', ports: [portOf(plain)] },
      { host: '127.0.0.1', ports: [portOf(plain)] },
    ],
  });
  const asked = await Promise.all(
    ['rebound.example', '127.0.0.1', 'elsewhere.example'].map((host) =>
      fixture.ask(`http://${host}:${portOf(plain)}/`),
    ),
  );
  expect(asked.map(({ status }) => status)).toEqual([403, 403, 403]);
  expect(asked[0]?.body).toContain('loopback');
  expect(asked[2]?.body).toContain('not on the allow-list');
});

test('what a session sends is bounded', async () => {
  await using small = await openEgressFixture({ limits: { sentBytes: 300_000 }, way: { direct: [] } });
  small.hold({ rules: [here(plain)] });
  const at = `http://localhost:${portOf(plain)}/`;
  expect((await small.ask(at, { method: 'POST', body: 'x'.repeat(200_000) })).status).toBe(200);
  await expect(small.ask(at, { method: 'POST', body: 'x'.repeat(900_000) }))
    .rejects.toThrow()
    .catch(() => undefined);
  expect(small.entries.at(-1)).toMatchObject({ decision: 'refused' });
});
