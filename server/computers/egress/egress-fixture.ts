import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import { type EgressRule, egressRule } from '../../../contract/egress.ts';
import { openLog } from '../../log.ts';
import type { Way } from './dial.ts';
import { type EgressLimits, type EgressSession, openEgressSession } from './egress-proxy.ts';
import type { BrokeredHost, EgressEntry, EgressPorts } from './ports.ts';
import { type KnownSecret, SecretIndex } from './secret-index.ts';

export interface Said {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A proxy on its own, spoken to as a sandbox would, and what it was told and recorded. */
export interface EgressFixture extends AsyncDisposable {
  session: EgressSession;
  entries: EgressEntry[];
  /** What holds from the next request on. */
  hold(policy: {
    rules?: Partial<EgressRule>[];
    brokered?: BrokeredHost[];
    refusal?: string | null;
    secrets?: KnownSecret[];
    fill?: EgressPorts['fill'];
    mayLeave?: EgressPorts['mayLeave'];
  }): void;
  /** By an absolute address, `http:` plain and `https:` through a tunnel. */
  ask(url: string, ask?: Ask): Promise<Said>;
  /** CONNECT as it is written; the status, and the connection where it was opened. */
  connect(authority: string): Promise<{ status: number; body: string; socket: Socket }>;
}

export async function openEgressFixture(
  options: { way?: Way; limits?: Partial<EgressLimits> } = {},
): Promise<EgressFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'egress-'));
  const entries: EgressEntry[] = [];
  let policy: Awaited<ReturnType<EgressPorts['policy']>> = { refusal: null, rules: [], brokered: [] };
  let index = new SecretIndex([]);
  let fill: EgressPorts['fill'] = async () => null;
  let mayLeave: EgressPorts['mayLeave'];
  const session = await openEgressSession({
    log: openLog('silent'),
    folder,
    way: options.way ?? { direct: [] },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ports: {
      policy: async () => policy,
      fill: (name) => fill(name),
      secrets: async () => index,
      record: (entry) => entries.push(entry),
      mayLeave: async (leaving) => (await mayLeave?.(leaving)) ?? null,
    },
  });
  const { socketPath } = session;
  const bundle = await readFile(session.files[1]?.source ?? '', 'utf8');
  const open = (authority: string) => openTunnel(socketPath, authority);
  return {
    session,
    entries,
    hold(next) {
      policy = {
        refusal: next.refusal ?? null,
        rules: (next.rules ?? []).map((rule) => egressRule.parse(rule)),
        brokered: next.brokered ?? [],
      };
      index = new SecretIndex(next.secrets ?? []);
      fill = next.fill ?? (async () => null);
      mayLeave = next.mayLeave;
    },
    async ask(url, { method = 'GET', headers = {}, body } = {}) {
      const { protocol, hostname, port, pathname, search, host } = new URL(url);
      if (protocol === 'http:')
        return send({ socketPath, agent: false, path: url, method, headers: { host, ...headers } }, body);
      const tunnel = await open(`${hostname}:${port || 443}`);
      if (tunnel.status !== 200) return { status: tunnel.status, headers: {}, body: tunnel.body };
      const secured = tlsConnect({ socket: tunnel.socket, servername: hostname, ca: bundle });
      const path = `${pathname}${search}`;
      return send({ createConnection: () => secured, path, method, headers: { host, ...headers } }, body);
    },
    connect: open,
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function send(options: RequestOptions, body: string | Buffer = ''): Promise<Said> {
  const outgoing = request(options);
  const answer = Promise.withResolvers<Said>();
  outgoing.on('response', (response) => {
    text(response).then(
      (content) =>
        answer.resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
      answer.reject,
    );
  });
  outgoing.on('error', answer.reject);
  outgoing.end(body);
  return answer.promise;
}

/** Written by hand: Node's own client would not send what an attacker does. */
async function openTunnel(
  socketPath: string,
  authority: string,
): Promise<{ status: number; body: string; socket: Socket }> {
  const socket = connect(socketPath);
  socket.write(Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1'));
  let said = '';
  const answer = Promise.withResolvers<{ status: number; body: string; socket: Socket }>();
  const hear = (chunk: Buffer) => {
    said += chunk.toString('latin1');
    const [, status, body = ''] =
      /^HTTP\/1\.1 (\d+) [^\r]*\r\n(?:[^\r]+\r\n)*\r\n([\s\S]*)$/.exec(said) ?? [];
    if (status === undefined) return;
    socket.off('data', hear);
    socket.pause();
    answer.resolve({ status: Number(status), body, socket });
  };
  socket.on('data', hear);
  socket.on('error', answer.reject);
  socket.on('close', () => answer.resolve({ status: 0, body: said, socket }));
  return answer.promise;
}
