import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request as sendOn } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeCertificates } from '../../test/certificates.ts';
import { chatProtocol } from '../../test/chat-server.ts';
import { type Said, startWireServer, wireKey } from '../../test/wire-server.ts';
import type { ModelRequest } from './model.ts';
import { openFetch, type ProxySettings } from './network.ts';
import { callProvider } from './provider-model.ts';
import { openProviderModel } from './providers.ts';

const execute = promisify(execFile);
const said: Said = { text: 'Here.', toolCalls: [], usage: { input: 1, cachedInput: 0, output: 1 } };
const request: ModelRequest = {
  model: 'p/m',
  system: '',
  messages: [{ role: 'user', text: 'Go.' }],
  tools: [],
  maxOutputTokens: 10,
};

async function call(baseURL: string, send: typeof fetch) {
  const connection = {
    name: 'p',
    kind: 'openai-compatible' as const,
    baseURL,
    apiKey: wireKey,
    problem: null,
  };
  const model = await openProviderModel(connection, 'm', { fetch: send, options: undefined });
  const options = { signal: new AbortController().signal, onText: () => undefined };
  return callProvider(model, request, { ...options, limits: { idleMs: 5_000, wholeMs: 10_000 } });
}

/** A proxy that passes requests on and opens tunnels, or refuses with a status; it notes what was asked of it. */
async function startProxy(refusal?: number): Promise<AsyncDisposable & { url: string; asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    const { url = '', method, headers } = incoming;
    asked.push(new URL(url).host);
    if (refusal !== undefined) {
      response.writeHead(refusal).end();
      return;
    }
    const onward = sendOn(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  });
  server.on('connect', ({ url = '' }: { url?: string }, socket: Socket) => {
    asked.push(url);
    sockets.add(socket);
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal} Refused\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${url}`);
    const target = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    sockets.add(target);
    for (const [one, other] of [
      [socket, target],
      [target, socket],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

test('connections are kept between calls', async () => {
  await using server = await startWireServer(chatProtocol, () => chatProtocol.answer(said));
  const send = openFetch({});
  for (const _ of [1, 2, 3, 4, 5, 6]) await call(server.baseURL, send);
  expect(server.requests).toHaveLength(6);
  // The first may still be on its way back when the second call begins.
  expect(server.connections()).toBeLessThanOrEqual(2);
});

test.each<[string, (proxy: string, host: string) => ProxySettings, boolean]>([
  ['goes through the proxy', (proxy) => ({ httpProxy: proxy, httpsProxy: proxy }), true],
  [
    'goes past it where NO_PROXY names the host',
    (proxy, host) => ({ httpProxy: proxy, noProxy: host }),
    false,
  ],
  ['needs none', () => ({}), false],
])('a call %s', async (_what, settings, through) => {
  await using proxy = await startProxy();
  await using server = await startWireServer(chatProtocol, () => chatProtocol.answer(said));
  const { hostname, host } = new URL(server.origin);
  await expect(call(server.baseURL, openFetch(settings(proxy.url, hostname)))).resolves.toMatchObject({
    text: 'Here.',
  });
  expect(proxy.asked).toEqual(through ? [host] : []);
});

test.each([
  [407, 'authentication'],
  [403, 'network'],
])('a proxy that refuses with %i is named, and what to look at', async (status, expected) => {
  await using proxy = await startProxy(status);
  const { server: certificate } = makeCertificates();
  await using server = await startWireServer(chatProtocol, () => chatProtocol.answer(said), certificate);
  const work = call(server.baseURL, openFetch({ httpsProxy: proxy.url }));
  await expect(work).rejects.toMatchObject({
    class: expected,
    message: expect.stringMatching(
      new RegExp(`proxy refused the connection with status ${status}.*HTTPS_PROXY`),
    ),
  });
  expect(server.requests).toEqual([]);
});

test('a proxy that wants a password for what it passes on is told from the provider', async () => {
  await using proxy = await startProxy(407);
  const work = call('http://127.0.0.1:9999/v1', openFetch({ httpProxy: proxy.url }));
  await expect(work).rejects.toMatchObject({
    class: 'authentication',
    message: expect.stringContaining('HTTPS_PROXY'),
  });
});

test('a proxy that is not there is a failure of the network', async () => {
  const work = call('http://127.0.0.1:9999/v1', openFetch({ httpProxy: 'http://127.0.0.1:1' }));
  await expect(work).rejects.toMatchObject({ class: 'network' });
});

test('a private authority is trusted by NODE_EXTRA_CA_CERTS alone, through a proxy too', async () => {
  const { authority, server: certificate } = makeCertificates();
  const folder = await mkdtemp(join(tmpdir(), 'authority-'));
  const file = join(folder, 'authority.pem');
  await writeFile(file, authority);
  await using server = await startWireServer(chatProtocol, () => chatProtocol.answer(said), certificate);
  await using proxy = await startProxy();

  const refused = call(server.baseURL, openFetch({}));
  await expect(refused).rejects.toMatchObject({
    class: 'network',
    message: expect.stringContaining('NODE_EXTRA_CA_CERTS='),
  });

  const script = `
    const { openFetch } = await import(${JSON.stringify(new URL('network.ts', import.meta.url).href)});
    const send = openFetch(JSON.parse(process.argv[1]));
    const { status } = await send(process.argv[2] + '/none', { method: 'POST', body: '{}' });
    console.log(status);`;
  for (const settings of [{}, { httpsProxy: proxy.url }]) {
    const { stdout } = await execute(
      process.execPath,
      ['--input-type=module', '--eval', script, JSON.stringify(settings), server.baseURL],
      { env: { NODE_EXTRA_CA_CERTS: file }, timeout: 30_000 },
    );
    expect(stdout.trim()).toBe('404');
  }
  expect(proxy.asked).toHaveLength(1);
  await rm(folder, { recursive: true });
});
