import type { LookupAddress } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { rootCertificates, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { isPrivateName, judgeAddress } from '../../addresses.ts';
import { isDirect } from '../registry-config.ts';

export type Lookup = (host: string) => Promise<LookupAddress[]>;

/** How connections leave this machine. */
export interface Way {
  /** The proxy that the server itself must go through; may hold its user and password. */
  upstream?: URL | undefined;
  /** Hosts that are reached directly in spite of `upstream`. */
  direct: readonly string[];
  /** Certificate authorities in PEM, beyond the public ones. */
  authorities?: string | undefined;
  lookup?: Lookup | undefined;
}

export interface Destination {
  /** A name, or an address. */
  host: string;
  port: number;
  /** Whether it may be an address that is not public. */
  private: boolean;
}

/** The destination is refused for what it is; nothing was sent. */
export class Refused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Refused';
  }
}

const connectLimitMs = 30_000;

/**
 * Connects to one of the addresses that a name has now: resolved once, every address judged, and connected by its
 * number, so that no second answer of a name service can lead elsewhere. Where this machine must go through a proxy,
 * that proxy resolves; only the name can be judged then.
 * @throws Refused; Error where it cannot be reached
 */
export async function dial(way: Way, to: Destination): Promise<Socket> {
  if (goesThrough(way, to.host)) {
    refuseByName(to);
    return dialThrough(way.upstream, `${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port}`);
  }
  const addresses = await resolve(way, to);
  let failure: unknown = new Error(`${to.host} has no address`);
  for (const { address } of addresses.slice(0, 4)) {
    try {
      return await connectTo(address, to.port);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Speaks TLS on a connection, as a client that trusts the public authorities and those of the way. */
export async function secure(way: Way, socket: Socket, host: string): Promise<TLSSocket> {
  const isAddress = judgeAddress(host) !== 'not an address';
  const secured = tlsConnect({
    socket,
    ...(isAddress ? { host } : { servername: host, host }),
    ALPNProtocols: ['http/1.1'],
    ca: way.authorities === undefined ? [...rootCertificates] : [...rootCertificates, way.authorities],
  });
  await once(secured, 'secureConnect', { signal: AbortSignal.timeout(connectLimitMs) });
  return secured;
}

function goesThrough(way: Way, host: string): way is Way & { upstream: URL } {
  return way.upstream !== undefined && !isDirect(host, [...way.direct]);
}

function refuseByName(to: Destination): void {
  if (to.private) return;
  const reason = judgeAddress(to.host);
  if (reason === null) return;
  if (reason !== 'not an address') throw new Refused(`its address is not public: ${reason}`);
  if (isPrivateName(to.host)) throw new Refused('it is a name of a private network');
}

async function resolve(way: Way, to: Destination): Promise<{ address: string }[]> {
  const literal = judgeAddress(to.host);
  if (literal !== 'not an address') {
    if (literal !== null && !to.private) throw new Refused(`its address is not public: ${literal}`);
    return [{ address: to.host }];
  }
  const find = way.lookup ?? ((host: string) => systemLookup(host, { all: true }));
  const addresses = await find(to.host);
  const [reason] = addresses.map(({ address }) => judgeAddress(address)).filter((found) => found !== null);
  if (reason !== undefined && !to.private)
    throw new Refused(`it resolves to an address that is not public: ${reason}`);
  return addresses;
}

async function connectTo(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true });
  socket.setTimeout(connectLimitMs, () => socket.destroy(new Error('the connection took too long')));
  await once(socket, 'connect');
  socket.setTimeout(0);
  return socket;
}

async function dialThrough(upstream: URL, authority: string): Promise<Socket> {
  const isSecure = upstream.protocol === 'https:';
  const request = (isSecure ? httpsRequest : httpRequest)({
    host: upstream.hostname,
    port: upstream.port || (isSecure ? 443 : 80),
    timeout: connectLimitMs,
    agent: false,
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...credentialsOf(upstream) },
  });
  request.once('timeout', () => request.destroy(new Error('the connection took too long')));
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
  request.end();
  return answer.promise;
}

function credentialsOf(proxy: URL): { 'proxy-authorization'?: string } {
  if (!proxy.username) return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}
