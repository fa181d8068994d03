import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, type ClientRequestArgs, createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, pipeline } from 'node:stream';
import { rootCertificates, TLSSocket } from 'node:tls';
import { readAuthority } from '../../addresses.ts';
import type { Logger } from '../../log.ts';
import type { NetworkSession } from '../sandbox.ts';
import { type Authority, makeAuthority } from './authority.ts';
import { readFirstBytes } from './client-hello.ts';
import { dial, Refused, secure, type Way } from './dial.ts';
import { type Answer, type Exchange, exchange, nameOf, type Place, shownHost, withheld } from './exchange.ts';
import { describeInside } from './inside.ts';
import type { EgressEntry, EgressPorts } from './ports.ts';
import { rulesFor } from './rules.ts';
import { Coverage, type SecretIndex } from './secret-index.ts';
import { SecretScan, shares } from './secret-scan.ts';

export interface EgressLimits {
  /** At the same time. */
  connections: number;
  /** Of the whole session. */
  sentBytes: number;
  receivedBytes: number;
  idleMs: number;
}

export const defaultEgressLimits: EgressLimits = {
  connections: 256,
  sentBytes: 2 * 1024 ** 3,
  receivedBytes: 20 * 1024 ** 3,
  idleMs: 300_000,
};

export interface EgressOptions {
  log: Logger;
  /** Private, and gone with the server. */
  folder: string;
  ports: EgressPorts;
  way: Way;
  limits?: Partial<EgressLimits>;
  /** Variables for the commands, beyond those of every session. */
  env?: Record<string, string>;
}

export type EgressSession = NetworkSession & AsyncDisposable;

/** Of `sun_path`, with its final zero. */
const maxSocketPath = 107;
const firstBytesLimitMs = 15_000;

/**
 * The only way out of one run's sandboxes: a proxy on a unix socket of its own. It answers for the hosts that it
 * inspects with certificates of an authority that only these sandboxes trust; what the rules let through unread it
 * passes on only where the client names the same host that it asked for.
 */
export async function openEgressSession(options: EgressOptions): Promise<EgressSession> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const wanted = join(options.folder, 'proxy.sock');
  const elsewhere = wanted.length > maxSocketPath ? await mkdtemp(join(tmpdir(), 'mission-')) : undefined;
  const socketPath = elsewhere ? join(elsewhere, 'proxy.sock') : wanted;
  const authority = makeAuthority();
  const bundle = join(options.folder, 'authorities.pem');
  const trusted = [authority.certificate, options.way.authorities ?? '', ...rootCertificates];
  await writeFile(bundle, `${trusted.join('\n')}\n`);
  const proxy = new EgressProxy(options, authority);
  await proxy.listen(socketPath);
  return {
    ...describeInside(socketPath, bundle, options.env),
    async [Symbol.asyncDispose]() {
      await proxy.close();
      if (elsewhere) await rm(elsewhere, { recursive: true, force: true });
      await rm(socketPath, { force: true });
    },
  };
}

class EgressProxy {
  readonly #options: EgressOptions;
  readonly #limits: EgressLimits;
  readonly #authority: Authority;
  readonly #server = createServer({ requestTimeout: 0, maxHeaderSize: 64 * 1024 });
  readonly #sockets = new Set<Duplex>();
  /** Connections that came out of a tunnel, and where it leads. */
  readonly #places = new WeakMap<Duplex, Place>();
  readonly #agents = new Map<string, DialingAgent>();
  readonly #exchange: Exchange;
  #seen: { index: SecretIndex; coverage: Coverage } | undefined;
  #sent = 0;
  #received = 0;

  constructor(options: EgressOptions, authority: Authority) {
    this.#options = options;
    this.#limits = { ...defaultEgressLimits, ...options.limits };
    this.#authority = authority;
    const { ports, log } = options;
    this.#exchange = {
      ports: { ...ports, record: (entry) => this.#record(entry) },
      log,
      seen: (index) => this.#coverageOf(index),
      agentFor: (place, isPrivate) => this.#agentFor(place, isPrivate),
      mayContinue: ({ sent, received }) =>
        this.#sent + sent <= this.#limits.sentBytes &&
        this.#received + received <= this.#limits.receivedBytes,
    };
    this.#server.on('request', (request, response) => {
      const answer: Answer = {
        response,
        upgraded: null,
        refuse: (status, reason) => {
          if (response.headersSent) {
            response.destroy();
            return;
          }
          // What is left of the body is not read.
          response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
          response.end(wordsOf(reason));
        },
      };
      this.#own(exchange(this.#exchange, request, answer, this.#placeOf(request)));
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const answer: Answer = {
        response: null,
        upgraded: { socket, head },
        refuse: (status, reason) => refuseSocket(socket, status, reason),
      };
      this.#own(exchange(this.#exchange, request, answer, this.#placeOf(request)));
    });
    this.#server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
      client.on('error', () => client.destroy());
      this.#own(this.#openTunnel(request, client, head));
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#track(socket);
      socket.setTimeout(this.#limits.idleMs, () => socket.destroy());
    });
    this.#server.maxConnections = this.#limits.connections;
  }

  async listen(socketPath: string): Promise<void> {
    this.#server.listen(socketPath);
    await once(this.#server, 'listening');
    this.#server.unref();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const agent of this.#agents.values()) agent.destroy();
    await closed;
  }

  #record(entry: EgressEntry): void {
    this.#sent += entry.sentBytes;
    this.#received += entry.receivedBytes;
    this.#options.ports.record(entry);
  }

  #own(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.log.error({ err: error }, 'the egress proxy failed'));
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #placeOf(request: IncomingMessage): Place | null {
    return this.#places.get(request.socket) ?? null;
  }

  /** Starts anew when the secrets have changed. */
  #coverageOf(index: SecretIndex): Coverage {
    if (this.#seen?.index !== index) this.#seen = { index, coverage: new Coverage(index, shares.run) };
    return this.#seen.coverage;
  }

  #agentFor(place: Place, isPrivate: boolean): Agent {
    const key = `${place.scheme} ${isPrivate}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = new DialingAgent(this.#options.way, place.scheme === 'https', isPrivate);
    this.#agents.set(key, agent);
    return agent;
  }

  async #openTunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const judged = await this.#judgeTunnel(request.url ?? '');
    if ('entry' in judged) {
      this.#record(judged.entry);
      refuseSocket(client, 403, judged.entry.reason ?? '');
      return;
    }
    const { place } = judged;
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    const first = await readBeginning(client, head);
    if (first.kind === 'http') {
      this.#serve(client, { ...place, scheme: 'http' });
      return;
    }
    const wrong = this.#objectTo(first, place, judged.inspect);
    if (wrong !== null) {
      this.#record(entryOf(place.host, place.port, 'refused', wrong));
      client.destroy();
      return;
    }
    if (!judged.inspect) return this.#passThrough(client, place, judged.private);
    const secured = new TLSSocket(client, {
      isServer: true,
      secureContext: this.#authority.contextFor(place.host),
      ALPNProtocols: ['http/1.1'],
    });
    secured.on('error', () => secured.destroy());
    this.#serve(secured, { ...place, scheme: 'https' });
  }

  async #judgeTunnel(
    authority: string,
  ): Promise<{ entry: EgressEntry } | { place: Place; inspect: boolean; private: boolean }> {
    const { ports } = this.#options;
    const [policy, index] = await Promise.all([ports.policy(), ports.secrets()]);
    const read = readAuthority(authority);
    const host = read === null ? null : nameOf(read.host);
    const shown = shownHost(host ?? authority);
    const port = read?.port ?? 0;
    const refuse = (reason: string) => ({ entry: entryOf(shown, port, 'refused', reason) });
    const leak = new SecretScan(index, this.#coverageOf(index)).text(authority);
    if (leak !== null)
      return { entry: { ...entryOf(withheld, port, 'stopped', leak.reason), secret: leak.secret } };
    if (policy.refusal !== null) return refuse(policy.refusal);
    if (read === null) return refuse('it is no host with its port');
    if (host === null) return refuse(read.host.kind === 'refused' ? read.host.reason : 'it is no host');
    const rules = rulesFor(policy.rules, read.host, port);
    const brokered = policy.brokered.some((one) => one.host === host && one.port === port);
    if (rules.length === 0 && !brokered) return refuse(`${host}:${port} is not on the allow-list`);
    const inspect =
      brokered || rules.some((rule) => rule.inspect || rule.methods !== null || rule.pathPrefix !== null);
    if (!inspect) {
      const guarded = await ports.mayLeave?.({ host, port, method: 'CONNECT', path: '' });
      if (guarded != null) return refuse(guarded);
    }
    return { place: { scheme: 'https', host, port }, inspect, private: rules.some((rule) => rule.private) };
  }

  /** Why a tunnel may not go on as it began. */
  #objectTo(first: Beginning, place: Place, inspect: boolean): string | null {
    if (first.kind !== 'tls') return 'what came through the tunnel is neither TLS nor HTTP';
    const isName = readAuthority(`${place.host}:1`)?.host.kind === 'name';
    if (first.name === null) return isName && !inspect ? 'its TLS names no host' : null;
    if (first.name.toLowerCase() !== place.host) return 'its TLS names another host than it asked for';
    return first.encrypted && !inspect ? 'its TLS hides the host that it wants' : null;
  }

  #serve(connection: Duplex, place: Place): void {
    this.#places.set(connection, place);
    this.#track(connection);
    this.#server.emit('connection', connection);
  }

  async #passThrough(client: Duplex, place: Place, isPrivate: boolean): Promise<void> {
    const entry = { ...entryOf(place.host, place.port, 'allowed', null), private: isPrivate };
    try {
      const server = await dial(this.#options.way, {
        host: place.host,
        port: place.port,
        private: isPrivate,
      });
      this.#track(server);
      server.setTimeout(this.#limits.idleMs, () => server.destroy());
      const count = { sent: 0, received: 0 };
      const watch = (side: 'sent' | 'received', from: Duplex) =>
        from.on('data', (chunk: Buffer) => {
          count[side] += chunk.length;
          if (!this.#exchange.mayContinue(count)) server.destroy();
        });
      watch('sent', client);
      watch('received', server);
      const over = Promise.withResolvers<void>();
      // Either end may break off; `pipeline` destroys the other, and there is nobody to tell.
      pipeline(client, server, client, () => over.resolve());
      await over.promise;
      entry.sentBytes = count.sent;
      entry.receivedBytes = count.received;
    } catch (error) {
      entry.decision = error instanceof Refused ? 'refused' : 'allowed';
      entry.reason = error instanceof Refused ? error.message : 'it could not be reached';
      this.#options.log.debug({ err: error, host: place.host }, 'a tunnel of a sandbox failed');
      client.destroy();
    }
    this.#record(entry);
  }
}

/** Opens connections by the way out, and keeps them for the next request to the same host. */
class DialingAgent extends Agent {
  readonly #way: Way;
  readonly #secure: boolean;
  readonly #private: boolean;

  constructor(way: Way, isSecure: boolean, isPrivate: boolean) {
    super({ keepAlive: true, maxSockets: 64, timeout: 300_000 });
    this.#way = way;
    this.#secure = isSecure;
    this.#private = isPrivate;
  }

  async #open(host: string, port: number): Promise<Socket> {
    const socket = await dial(this.#way, { host, port, private: this.#private });
    return this.#secure ? secure(this.#way, socket, host) : socket;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const host = options.host ?? '';
    const opening = this.#open(host, Number(options.port));
    opening.then(
      (socket) => callback?.(null, socket),
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
  }
}

type Beginning = Exclude<ReturnType<typeof readFirstBytes>, { kind: 'more' }>;

/** Reads as much as tells what it is, and puts it back. */
async function readBeginning(client: Duplex, head: Buffer): Promise<Beginning> {
  const signal = AbortSignal.timeout(firstBytesLimitMs);
  let bytes = head;
  try {
    for (;;) {
      const found = readFirstBytes(bytes);
      if (found.kind !== 'more') return found;
      const chunk: Buffer | null = client.read();
      if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
      else if (client.readableEnded || client.destroyed) return { kind: 'other' };
      else await Promise.race([once(client, 'readable', { signal }), once(client, 'close', { signal })]);
    }
  } catch (error) {
    if (signal.aborted || client.destroyed) return { kind: 'other' };
    throw error;
  } finally {
    if (bytes.length > 0 && !client.destroyed) client.unshift(bytes);
  }
}

function entryOf(
  host: string,
  port: number,
  decision: EgressEntry['decision'],
  reason: string | null,
): EgressEntry {
  const nothing = {
    secret: null,
    credential: null,
    private: false,
    status: null,
    sentBytes: 0,
    receivedBytes: 0,
  };
  return { host, port, method: 'CONNECT', path: '', decision, reason, ...nothing };
}

const wordsOf = (reason: string) => `Mission Control: ${reason.replace(/\.$/, '')}.\n`;

function refuseSocket(client: Duplex, status: number, reason: string): void {
  if (client.destroyed) return;
  const words = wordsOf(reason);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8`;
  client.end(`${head}\r\nContent-Length: ${Buffer.byteLength(words)}\r\n\r\n${words}`);
}
