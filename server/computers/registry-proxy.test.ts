import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLocalSandbox } from './local-sandbox.ts';
import type { RegistryConfig } from './registry-config.ts';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';

/** A registry, and at the same time the proxy that the machine would have to go through. */
const registry = createServer((request, response) => {
  response.end(files.get(request.url ?? '') ?? `registry ${request.url} ${request.headers.host}`);
});
const files = new Map<string, string | Buffer>();
const asked: string[] = [];
registry.on('connect', (request, client) => {
  asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`);
  const server = connect((registry.address() as AddressInfo).port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    server.pipe(client).pipe(server);
  });
});
const elsewhere = createServer((_, response) => response.end('elsewhere'));

let direct: SandboxFixture;
let chained: SandboxFixture;
let address: string;
beforeAll(async () => {
  for (const server of [registry, elsewhere]) {
    server.listen(0, 'localhost');
    await once(server, 'listening');
  }
  address = `localhost:${(registry.address() as AddressInfo).port}`;
  const config: RegistryConfig = { npmRegistry: `http://${address}/`, extraHosts: [], direct: [] };
  const upstream = new URL(`http://user:p%40ss@${address}`);
  direct = await openSandboxFixture((options) => openLocalSandbox({ ...options, registry: config }));
  chained = await openSandboxFixture((options) =>
    openLocalSandbox({ ...options, registry: { ...config, upstream } }),
  );
});
afterAll(async () => {
  for (const fixture of [direct, chained]) await fixture[Symbol.asyncDispose]();
  for (const server of [registry, elsewhere]) server.close();
});

/** Uses the proxy as it stands in the environment, NO_PROXY aside: our registry is on the loopback. */
const fetchThrough = (host: string, tunnel: boolean) => `
const { request } = require('node:http');
const ask = (options) => request({ host: '127.0.0.1', port: 3128, ...options })
  .on('response', (r) => { console.log(r.statusCode); r.pipe(process.stdout); })
  .on('connect', (r, socket) => {
    if (r.statusCode !== 200) return console.log(r.statusCode), socket.destroy();
    request({ createConnection: () => socket, path: '/tunnelled', headers: { host: '${host}' } })
      .on('response', (r) => r.pipe(process.stdout)).end();
  })
  .on('error', (e) => console.log(e.code)).end();
ask(${tunnel ? `{ method: 'CONNECT', path: '${host}' }` : `{ path: 'http://${host}/plain', headers: { host: 'other.example' } }`});`;

const ask = async (fixture: SandboxFixture, host: string, tunnel: boolean) =>
  (await fixture.shell('', { argv: ['node', '-e', fetchThrough(host, tunnel)], network: 'registry' })).text;

test('the registry is reached, by tunnel and by plain request, under its own name', async () => {
  expect(await ask(direct, address, true)).toBe(`registry /tunnelled ${address}`);
  expect(await ask(direct, address, false)).toBe(`200\nregistry /plain ${address}`);
});

test('another port of the same host, and other hosts, are refused', async () => {
  const other = `localhost:${(elsewhere.address() as AddressInfo).port}`;
  expect(await ask(direct, other, true)).toBe('403\n');
  expect(await ask(direct, other, false)).toContain('403\nMission Control: ');
  expect(await ask(direct, 'example.com:443', true)).toBe('403\n');
});

test('an upstream proxy is gone through, with its credentials', async () => {
  asked.length = 0;
  expect(await ask(chained, address, true)).toBe(`registry /tunnelled ${address}`);
  expect(asked).toEqual([`${address} Basic ${Buffer.from('user:p@ss').toString('base64')}`]);
});

test('there is no other way out, no secret of the proxy, and the exit status is the command’s', async () => {
  const result = await chained.shell(
    'env; ls /sys/class/net 2>/dev/null; cat /proc/net/dev | wc -l; exit 9',
    {
      network: 'registry',
    },
  );
  expect(result.exitCode).toBe(9);
  expect(result.text).not.toMatch(/p%40ss|p@ss/);
  expect(result.text).toContain('HTTPS_PROXY=http://127.0.0.1:3128');
  expect(await direct.shell('kill -KILL $$', { network: 'registry' })).toMatchObject({ signal: 'SIGKILL' });
  expect((await direct.shell('env', { network: 'none' })).text).not.toContain('HTTPS_PROXY');
});

test('npm installs a package through it', async () => {
  const manifest = { name: 'tiny', version: '1.0.0' };
  await mkdir(join(direct.workspace, 'tiny'));
  await writeFile(join(direct.workspace, 'tiny/package.json'), JSON.stringify(manifest));
  await direct.shell('npm pack ./tiny');
  const tarball = await readFile(join(direct.workspace, 'tiny-1.0.0.tgz'));
  const version = { ...manifest, dist: { tarball: `http://${address}/tiny/-/tiny-1.0.0.tgz` } };
  files.set(
    '/tiny',
    JSON.stringify({ name: 'tiny', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }),
  );
  files.set('/tiny/-/tiny-1.0.0.tgz', tarball);
  await writeFile(join(direct.workspace, 'package.json'), '{"dependencies":{"tiny":"1.0.0"}}');
  // The registry of this test is on the loopback, which is otherwise reached without the proxy.
  const env = { NO_PROXY: '', no_proxy: '', npm_config_noproxy: '', npm_config_audit: 'false' };
  const result = await direct.shell('npm install && ls node_modules', { network: 'registry', env });
  expect(result).toMatchObject({ exitCode: 0 });
  expect(result.text).toContain('tiny\n');
});
