import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, pipeline } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../log.ts';
import { isDirect, type RegistryConfig } from './registry-config.ts';
import { type AllowedTarget, judgeTarget, listAllowedTargets } from './registry-hosts.ts';

export interface RegistryProxy extends AsyncDisposable {
  /** What a sandbox needs in order to reach the proxy: options of bwrap, variables. */
  inside: { binds: string[]; env: Record<string, string> };
  /** Goes before the command's own argv. */
  bridge: string[];
  /** Where the proxy listens, on the host. */
  socketPath: string;
}

const insideFolder = '/run/mission';
const insidePort = 3128;
const connectLimitMs = 30_000;
const idleLimitMs = 300_000;
const maxConnections = 256;
/** Of `sun_path`, with its final zero. */
const maxSocketPath = 107;

/**
 * The only way out of a sandbox whose network is `registry`: a proxy on a unix socket that connects to the listed
 * registries and answers 403 to everything else. It never reads what passes through a tunnel.
 * @param folder private, and gone with the server
 */
export async function openRegistryProxy(options: {
  log: Logger;
  folder: string;
  config: RegistryConfig;
}): Promise<RegistryProxy> {
  const { log, config } = options;
  const allowed = listAllowedTargets([new URL(config.npmRegistry).host, ...config.extraHosts]);
  const server = createServer((request, response) => forward(request, response, { allowed, config, log }));
  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    tunnel(request, client, head, { allowed, config, log }).catch((error: unknown) => {
      log.warn({ err: error, target: request.url }, 'a registry could not be reached');
      refuseTunnel(client, 502);
    });
  });
  server.maxConnections = maxConnections;
  const wanted = join(options.folder, 'proxy.sock');
  const elsewhere = wanted.length > maxSocketPath ? await mkdtemp(join(tmpdir(), 'mission-')) : undefined;
  const socketPath = elsewhere ? join(elsewhere, 'proxy.sock') : wanted;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(socketPath);
  await once(server, 'listening');
  server.unref();
  const authorities = join(options.folder, 'authorities.pem');
  await writeFile(authorities, `${[config.authorities ?? '', ...rootCertificates].join('\n')}\n`);
  return {
    socketPath,
    inside: { binds: bindsFor(socketPath, authorities), env: environmentFor(config) },
    bridge: [
      '/opt/node/bin/node',
      `${insideFolder}/bridge.mts`,
      `${insideFolder}/proxy.sock`,
      `${insidePort}`,
    ],
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      if (elsewhere) await rm(elsewhere, { recursive: true, force: true });
    },
  };
}

interface Rules {
  allowed: AllowedTarget[];
  config: RegistryConfig;
  log: Logger;
}

function bindsFor(socketPath: string, authorities: string): string[] {
  const bridge = fileURLToPath(new URL('./registry-bridge.ts', import.meta.url));
  return [
    ...['--ro-bind', socketPath, `${insideFolder}/proxy.sock`],
    ...['--ro-bind', authorities, `${insideFolder}/authorities.pem`],
    ...['--ro-bind', bridge, `${insideFolder}/bridge.mts`],
  ];
}

/** Every tool has its own names for the same two facts. */
function environmentFor(config: RegistryConfig): Record<string, string> {
  const proxy = `http://127.0.0.1:${insidePort}`;
  const authorities = `${insideFolder}/authorities.pem`;
  const everywhere = (names: string[], value: string) =>
    Object.fromEntries(names.map((name) => [name, value]));
  return {
    ...everywhere(['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'CARGO_HTTP_PROXY'], proxy),
    ...everywhere(['npm_config_proxy', 'npm_config_https_proxy'], proxy),
    ...everywhere(['NO_PROXY', 'no_proxy', 'npm_config_noproxy'], 'localhost,127.0.0.1,::1'),
    ...everywhere(['NODE_EXTRA_CA_CERTS', 'npm_config_cafile', 'SSL_CERT_FILE', 'PIP_CERT'], authorities),
    ...everywhere(
      ['REQUESTS_CA_BUNDLE', 'CARGO_HTTP_CAINFO', 'GIT_SSL_CAINFO', 'CURL_CA_BUNDLE'],
      authorities,
    ),
    npm_config_registry: config.npmRegistry,
    NODE_USE_ENV_PROXY: '1',
  };
}

async function tunnel(request: IncomingMessage, client: Duplex, head: Buffer, rules: Rules): Promise<void> {
  client.on('error', () => client.destroy());
  const target = judgeTarget(request.url ?? '', rules.allowed);
  if (!target) {
    rules.log.info({ target: request.url?.slice(0, 200) }, 'a connection beyond the registries was refused');
    refuseTunnel(client, 403);
    return;
  }
  const { upstream, direct } = rules.config;
  const server =
    upstream && !isDirect(target.host, direct)
      ? await connectThrough(upstream, `${target.host}:${target.port}`)
      : await connectDirectly(target);
  if (client.destroyed) {
    server.destroy();
    return;
  }
  server.setTimeout(idleLimitMs, () => server.destroy());
  client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
  server.write(head);
  // Either end may break off; `pipeline` destroys the other, and there is nobody to tell.
  pipeline(client, server, client, () => undefined);
}

function refuseTunnel(client: Duplex, status: 403 | 502): void {
  const reason = status === 403 ? 'Forbidden' : 'Bad Gateway';
  if (!client.destroyed)
    client.end(`HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

async function connectDirectly(target: { host: string; port: number }): Promise<Socket> {
  const socket = connect(target);
  socket.setTimeout(connectLimitMs, () => socket.destroy(new Error('the connection took too long')));
  await once(socket, 'connect');
  return socket;
}

async function connectThrough(upstream: URL, authority: string): Promise<Socket> {
  const request = startRequest(upstream, {
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...credentialsOf(upstream) },
  });
  request.end();
  const answer = Promise.withResolvers<Socket>();
  request.once('connect', (response, socket) => {
    if (response.statusCode === 200) answer.resolve(socket);
    else {
      socket.destroy();
      answer.reject(new Error(`the upstream proxy answered ${response.statusCode}`));
    }
  });
  request.once('response', () => answer.reject(new Error('the upstream proxy refused')));
  request.once('error', answer.reject);
  return answer.promise;
}

/** Plain HTTP, for registries that are configured so. */
function forward(request: IncomingMessage, response: ServerResponse, rules: Rules): void {
  const url = URL.parse(request.url ?? '');
  const target =
    url?.protocol === 'http:' && !url.username
      ? judgeTarget(`${url.hostname}:${url.port || 80}`, rules.allowed)
      : undefined;
  if (!url || !target) {
    response.writeHead(403).end();
    return;
  }
  const { upstream, direct } = rules.config;
  const through = upstream && !isDirect(target.host, direct) ? upstream : undefined;
  const { 'proxy-authorization': _, 'proxy-connection': __, connection: ___, ...headers } = request.headers;
  const outgoing = startRequest(through ?? new URL(`http://${target.host}:${target.port}`), {
    method: request.method,
    path: through ? url.href : `${url.pathname}${url.search}`,
    // The name comes from the list: a request must not reach one host under another's name.
    headers: { ...headers, host: url.host, ...(through ? credentialsOf(through) : {}) },
  });
  outgoing.on('response', (incoming) => {
    response.writeHead(incoming.statusCode ?? 502, incoming.headers);
    pipeline(incoming, response, () => undefined);
  });
  outgoing.on('error', (error) => {
    rules.log.warn({ err: error, host: target.host }, 'a registry could not be reached');
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  pipeline(request, outgoing, () => undefined);
}

function startRequest(server: URL, options: RequestOptions) {
  const secure = server.protocol === 'https:';
  const address = {
    host: server.hostname,
    port: server.port || (secure ? 443 : 80),
    timeout: connectLimitMs,
  };
  const request = (secure ? httpsRequest : httpRequest)({ ...address, agent: false, ...options });
  request.once('timeout', () => request.destroy(new Error('the connection took too long')));
  return request;
}

function credentialsOf(proxy: URL): { 'proxy-authorization'?: string } {
  if (!proxy.username) return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}
