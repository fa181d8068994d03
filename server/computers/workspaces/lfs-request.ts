import { lookup } from 'node:dns';
import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { messageOf } from '../../errors.ts';

const mostRedirects = 3;
const silenceMs = 30_000;

/**
 * How far inside a network an address is: 0 for the public, 1 for a private network, 2 for this machine and
 * its own link. A server that is found at one may not lead further in.
 */
export type Depth = 0 | 1 | 2;

/** Why an address gave nothing, as the rest of a sentence: `its server …`. Holds no address but a host. */
export class LfsFailure extends Error {
  /** Whether another try may help. */
  readonly again: boolean;
  constructor(message: string, again = false) {
    super(message);
    this.name = 'LfsFailure';
    this.again = again;
  }
}

export interface LfsRequest {
  url: URL;
  method: 'GET' | 'POST';
  /** What goes to every host. */
  headers: Record<string, string>;
  /** What goes to the first origin alone, and after a redirect elsewhere to none. */
  secret?: Record<string, string>;
  body?: string;
  /** The deepest that any hop may be; by the first hop where it is not given. */
  deepest?: Depth;
}

/**
 * The answer of status 200, its body not read yet. The signal and a limit on silence hold for the body too.
 * @returns `depth`, where the first hop was
 * @throws LfsFailure
 */
export async function askLfs(
  request: LfsRequest,
  signal: AbortSignal,
): Promise<{ response: IncomingMessage; depth: Depth }> {
  let { url, secret = {}, deepest } = request;
  let depth: Depth | undefined;
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const response = await send({ ...request, url, secret, deepest: deepest ?? 2 }, signal);
    depth ??= depthOf(response.socket.remoteAddress ?? '');
    deepest ??= depth;
    const { statusCode: status = 0 } = response;
    if (status === 200) return { response, depth };
    response.destroy();
    const { location } = response.headers;
    if (![301, 302, 307, 308].includes(status) || location === undefined) throw refusal(url, status);
    const next = linkOf(location, url);
    if (next.origin !== url.origin) secret = {};
    url = next;
  }
  throw new LfsFailure(`redirects more than ${mostRedirects} times`);
}

/** @throws LfsFailure where it is not http or https */
export function linkOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : null;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new LfsFailure('leads to an address that is neither http nor https');
}

/** What went wrong on a connection; never with an address, which may hold a signature. */
export function connectionFailure(error: unknown): LfsFailure {
  if (error instanceof LfsFailure) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
  return new LfsFailure(`broke the connection off or cannot be reached (${code})`, true);
}

async function send(request: LfsRequest & { deepest: Depth }, signal: AbortSignal): Promise<IncomingMessage> {
  const { url, method, headers, secret = {}, body, deepest } = request;
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(hostname) !== 0 && depthOf(hostname) > deepest) throw tooDeep(hostname);
  const sent = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    method,
    headers: {
      'user-agent': 'mission-control',
      'accept-encoding': 'identity',
      ...headers,
      ...secret,
    },
    lookup: guardedLookup(deepest),
    // A shared agent may hold a connection that was opened under another guard, or go through a proxy.
    agent: false,
    timeout: silenceMs,
    signal,
  });
  sent.on('timeout', () =>
    sent.destroy(new LfsFailure(`(${url.host}) said nothing for ${silenceMs / 1000} s`, true)),
  );
  sent.end(body);
  try {
    const [response]: IncomingMessage[] = await once(sent, 'response');
    if (response === undefined) throw new LfsFailure('gave no answer', true);
    return response;
  } catch (error) {
    signal.throwIfAborted();
    throw connectionFailure(error);
  } finally {
    // The body's reader is told by the body itself.
    sent.on('error', () => undefined);
  }
}

/** Judges what the name means at the moment of the connection, so that it cannot change in between. */
function guardedLookup(deepest: Depth): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '');
      const allowed = found.filter(({ address }) => depthOf(address) <= deepest);
      const [first] = allowed;
      if (first === undefined) return done(tooDeep(hostname), '');
      if (options.all === true) return done(null, allowed);
      return done(null, first.address, first.family);
    });
  };
}

const near = blockList(['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '::/127', 'fe80::/10']);
const inner = blockList(['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']);

/** Of an unknown address, the one that leads nowhere but to the public. */
function depthOf(text: string): Depth {
  const address = text.replace(/%.*$/, '');
  if (isIP(address) === 0) return 0;
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (near.check(address, family)) return 2;
  return inner.check(address, family) ? 1 : 0;
}

function blockList(ranges: string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [net = '', prefix] = range.split('/');
    list.addSubnet(net, Number(prefix), isIP(net) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

const tooDeep = (host: string) =>
  new LfsFailure(`leads to ${host}, which is inside a network that the repository itself is not in`);

function refusal(url: URL, status: number): LfsFailure {
  if (status === 401 || status === 403)
    return new LfsFailure(`asks for credentials (${url.host}: ${status})`);
  if (status === 404 || status === 410) return new LfsFailure(`does not have it (${url.host}: ${status})`);
  return new LfsFailure(`does not give it (${url.host}: ${status})`, status === 429 || status >= 500);
}
