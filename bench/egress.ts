import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { egressRule } from '../contract/egress.ts';
import { makeAuthority } from '../server/computers/egress/authority.ts';
import { openEgressSession } from '../server/computers/egress/egress-proxy.ts';
import { SecretIndex } from '../server/computers/egress/secret-index.ts';
import { directly, openPeerProxy, plainThrough, securely, type Way } from './contenders/proxy.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { median, quantile, timed } from './measure/statistics.ts';
import { log } from './measure/store.ts';

const downloadBytes = 32 * 1024 ** 2;
const uploadBytes = 8 * 1024 ** 2;
const block = Buffer.alloc(64 * 1024, 'The quick brown fox jumps over the lazy dog. 0123456789\n');

await using stack = new AsyncDisposableStack();
const folder = await mkdtemp(join(tmpdir(), 'mission-bench-'));
stack.defer(() => rm(folder, { recursive: true, force: true }));
const world = makeAuthority();

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume().on('end', () => {
    if (!request.url?.endsWith('/large')) return void response.end('small');
    response.writeHead(200, { 'content-length': downloadBytes });
    let left = downloadBytes / block.length;
    const push = () => {
      while (left > 0) {
        left -= 1;
        if (!response.write(block)) return void response.once('drain', push);
      }
      response.end();
    };
    push();
  });
}

const plain = createServer(answer);
const secure = createSecureServer(
  { SNICallback: (name, done) => done(null, world.contextFor(name)) },
  answer,
);
for (const server of [plain, secure]) {
  server.listen(0, 'localhost');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
}
const originOf = (server: typeof plain | typeof secure) => ({
  host: 'localhost',
  port: (server.address() as AddressInfo).port,
});
const [open, tls] = [originOf(plain), originOf(secure)];

const secrets = new SecretIndex(
  Array.from({ length: 20 }, (_, at) => ({ name: `s${at}`, value: `bench-secret-${at}-Xq7Lm2Vz9` })),
);
/** Ours as it runs, with twenty known secrets; policy and log in memory. */
async function openOurs(inspect: boolean) {
  const rules = [
    egressRule.parse({ host: 'localhost', ports: [open.port, tls.port], private: true, inspect }),
  ];
  const session = await openEgressSession({
    log,
    folder: join(folder, `${inspect}`),
    way: { direct: [], authorities: world.certificate },
    ports: {
      policy: async () => ({ refusal: null, rules, brokered: [] }),
      fill: async () => null,
      secrets: async () => secrets,
      record: () => undefined,
    },
  });
  stack.use(session);
  const ca = await readFile(session.files[1]?.source ?? '', 'utf8');
  return { listening: { path: session.socketPath }, ca };
}

const inspecting = await openOurs(true);
const passing = await openOurs(false);
const authority = world.certificate;
const ways: Way[] = [
  directly('HTTP, direct', open),
  plainThrough('HTTP, ours', inspecting.listening, open),
  securely('HTTPS, direct', null, tls, authority),
  securely('HTTPS, ours, passed through', passing.listening, tls, authority),
  securely('HTTPS, ours, inspected', inspecting.listening, tls, inspecting.ca),
];
const peer = await openPeerProxy(open, authority);
if (typeof peer === 'string') console.log(`not measured beside us: ${peer}`);
else {
  stack.use(peer);
  ways.splice(2, 0, plainThrough('HTTP, sandbox-runtime', peer.listening, open));
  ways.push(securely('HTTPS, sandbox-runtime, passed through', peer.listening, tls, authority));
}

async function ask(way: Way, socket: Socket, path: string, body?: number): Promise<void> {
  const target = path === '' ? '/' : path;
  const asking = httpRequest({
    createConnection: () => socket,
    method: body === undefined ? 'GET' : 'POST',
    path: `${way.prefix}${target}`,
    headers: {
      host: way.name.startsWith('HTTPS') ? `${tls.host}:${tls.port}` : `${open.host}:${open.port}`,
      connection: 'keep-alive',
    },
  });
  for (let sent = 0; sent < (body ?? 0); sent += block.length) {
    if (!asking.write(block)) await once(asking, 'drain');
  }
  asking.end();
  const [response]: IncomingMessage[] = await once(asking, 'response');
  response?.resume();
  await once(response ?? asking, 'end');
  if (response?.statusCode !== 200) throw new Error(`${way.name}: ${response?.statusCode}`);
}

const times = new Map(
  ways.map(({ name }) => [
    name,
    { fresh: [] as number[], kept: [] as number[], down: [] as number[], up: [] as number[] },
  ]),
);
for (let round = 0; round < 6; round++) {
  for (const way of ways) {
    const mine = times.get(way.name);
    for (let each = 0; each < 12; each++) {
      const ms = await timed(async () => {
        const socket = await way.connect();
        await ask(way, socket, '');
        socket.destroy();
      });
      if (round > 0) mine?.fresh.push(ms);
    }
    const socket = await way.connect();
    for (let each = 0; each < 60; each++) {
      const ms = await timed(() => ask(way, socket, ''));
      if (round > 0) mine?.kept.push(ms);
    }
    const down = await timed(() => ask(way, socket, '/large'));
    const up = await timed(() => ask(way, socket, '', uploadBytes));
    if (round > 0) {
      mine?.down.push(downloadBytes / 1024 ** 2 / (down / 1_000));
      mine?.up.push(uploadBytes / 1024 ** 2 / (up / 1_000));
    }
    socket.destroy();
  }
}

const of = (name: string) => times.get(name) ?? { fresh: [], kept: [], down: [], up: [] };
const added = (name: string) =>
  median(of(name).kept) - median(of(name.startsWith('HTTPS') ? 'HTTPS, direct' : 'HTTP, direct').kept);
report(
  'egress',
  ways.map(({ name }) => ({
    way: name,
    'request ms': rounded(median(of(name).kept)),
    'p95 ms': rounded(quantile(of(name).kept, 0.95)),
    'added ms': rounded(added(name)),
    'with a new connection, ms': rounded(median(of(name).fresh)),
    'down, MiB/s': rounded(median(of(name).down)),
    'up, MiB/s': rounded(median(of(name).up)),
  })),
  [
    atMost('a request over HTTP, added', added('HTTP, ours'), 3, 'ms'),
    atMost('an inspected request over HTTPS, added', added('HTTPS, ours, inspected'), 3, 'ms'),
  ],
);
