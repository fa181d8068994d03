import { BlockList, isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';

/** Where the server listens, and through whom people come. */
export interface EdgeSettings {
  host: string;
  /** The address that people open, where it is another than the one listened on. */
  publicUrl: string | null;
  /** Files in PEM. */
  tls: { certificate: string; key: string } | null;
  /** Addresses and CIDRs of proxies; what they say of the client is believed, and nobody else's word. */
  trustedProxies: readonly string[];
}

const wildcards = ['0.0.0.0', '::'];

/** Who may reach the API at all, before anybody is asked for a key. */
export class Edge {
  readonly secure: boolean;
  readonly publicUrl: string | null;
  readonly #ownHosts: ReadonlySet<string>;
  readonly #proxies: BlockList;
  readonly #loopback = toBlockList(['127.0.0.0/8', '::1']);

  /** @throws AppError invalid_request where keys would travel in the clear */
  constructor(settings: EdgeSettings) {
    requireSafety(settings);
    this.secure = settings.tls !== null;
    this.publicUrl = settings.publicUrl;
    this.#proxies = toBlockList(settings.trustedProxies);
    const { host, publicUrl } = settings;
    this.#ownHosts = new Set(
      [
        '127.0.0.1',
        'localhost',
        '[::1]',
        ...(wildcards.includes(host) ? [] : [isIP(host) === 6 ? `[${host}]` : host]),
        ...(publicUrl === null ? [] : [new URL(publicUrl).hostname]),
      ].map((name) => name.toLowerCase()),
    );
  }

  /** Whether this is a named proxy, whose X-Forwarded headers hold. */
  readonly trusts = (address: string): boolean => contains(this.#proxies, address);

  /**
   * Refuses a Host that is not ours and a page of another origin: a name that was made to point at this machine
   * must not reach the API, on loopback as well, over HTTP as over WebSocket. Without TLS of our own, who comes
   * over the network comes through a named proxy.
   * @throws AppError foreign_host
   */
  admit(request: FastifyRequest): void {
    const peer = request.socket.remoteAddress ?? '';
    if (!this.secure && !contains(this.#loopback, peer) && !this.trusts(peer)) {
      throw new AppError(
        'foreign_host',
        `Connections from ${peer} would carry keys in the clear. Come through the proxy, or name this address in MISSION_TRUSTED_PROXIES.`,
      );
    }
    const host = request.host ?? '';
    if (!this.#ownHosts.has(nameOf(host))) {
      throw new AppError(
        'foreign_host',
        `This server does not answer for the host "${host}". Where people open it under that name, set MISSION_PUBLIC_URL.`,
      );
    }
    const { origin } = request.headers;
    if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== host) {
      throw new AppError('foreign_host', `Pages of ${origin} may not use this server.`);
    }
  }
}

function requireSafety({ host, tls, trustedProxies }: EdgeSettings): void {
  const local = host === 'localhost' || contains(toBlockList(['127.0.0.0/8', '::1']), host);
  if (local || tls !== null || trustedProxies.length > 0) return;
  throw new AppError(
    'invalid_request',
    `MISSION_HOST=${host} would send keys over the network in the clear: give MISSION_TLS_CERT and MISSION_TLS_KEY, or name the proxy that ends TLS in MISSION_TRUSTED_PROXIES (its addresses or CIDRs), or leave MISSION_HOST out`,
  );
}

function toBlockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}
