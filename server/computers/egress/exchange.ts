import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EgressRule } from '../../../contract/egress.ts';
import { type Host, readAuthority } from '../../addresses.ts';
import type { Logger } from '../../log.ts';
import { Refused } from './dial.ts';
import { isWebSocket, passOn, toOutgoing } from './headers.ts';
import type { EgressEntry, EgressPolicy, EgressPorts, FilledHeader } from './ports.ts';
import { judgeRequest, rulesFor } from './rules.ts';
import { BlottedBody, ScannedBody, ScannedFrames, Stopped } from './scanned-body.ts';
import type { Coverage, SecretIndex } from './secret-index.ts';
import { SecretScan } from './secret-scan.ts';

/** Where a request goes; known before it is read where it comes through a tunnel. */
export interface Place {
  scheme: 'http' | 'https';
  /** A name in lower case, or an address. */
  host: string;
  port: number;
}

export interface Exchange {
  ports: EgressPorts;
  log: Logger;
  /** What was seen of each secret in earlier requests. */
  seen(index: SecretIndex): Coverage;
  agentFor(place: Place, isPrivate: boolean): Agent;
  /** False where the sandbox has used up what it may send or receive. */
  mayContinue(bytes: { sent: number; received: number }): boolean;
}

export const reachesSafely = new Set(['GET', 'HEAD', 'OPTIONS']);
const exchangeLimitMs = 1_800_000;

interface Judged {
  rule: EgressRule | null;
  filled: FilledHeader | null;
  scan: SecretScan;
}

/** Judges one request, looks through it and carries it; every refusal is answered in words and recorded. */
export async function exchange(
  parts: Exchange,
  request: IncomingMessage,
  answer: Answer,
  place: Place | null,
): Promise<void> {
  const asked = placeOf(request, place);
  const method = request.method ?? '';
  const entry: EgressEntry = {
    host: asked.place?.host ?? shownHost(asked.shown),
    port: asked.place?.port ?? 0,
    method: method.slice(0, 20),
    path: (asked.path.split(/[?#]/, 1)[0] ?? '').slice(0, 500),
    decision: 'refused',
    reason: null,
    secret: null,
    credential: null,
    private: false,
    status: null,
    sentBytes: 0,
    receivedBytes: 0,
  };
  try {
    const judged = await judge(parts, request, asked, entry);
    if (asked.place === null || 'reason' in judged) {
      entry.reason = 'reason' in judged ? judged.reason : 'no place';
      answer.refuse(403, entry.reason);
      return;
    }
    entry.decision = 'allowed';
    entry.private = judged.rule?.private ?? false;
    await carry(parts, { request, answer, place: asked.place, path: asked.path, judged, entry });
  } catch (error) {
    tellFailure(parts, error, entry, answer);
  } finally {
    parts.ports.record(entry);
  }
}

/** How an answer reaches the client: as a response, or on the bare connection of an upgrade. */
export interface Answer {
  refuse(status: number, reason: string): void;
  response: ServerResponse | null;
  /** The client's connection and what it has sent already, for an upgrade. */
  upgraded: { socket: Duplex; head: Buffer } | null;
}

function placeOf(
  request: IncomingMessage,
  known: Place | null,
): { place: Place | null; path: string; shown: string; reason?: string } {
  const url = request.url ?? '';
  if (known !== null) {
    const shown = known.host;
    if (!url.startsWith('/') && url !== '*')
      return { place: null, path: '', shown, reason: 'in a tunnel a path is expected' };
    const named = request.headers.host ?? '';
    const withPort = /:\d+$/.test(named) ? named : `${named}:${known.port}`;
    const read = readAuthority(withPort);
    const host = read === null ? null : nameOf(read.host);
    if (host !== known.host || read?.port !== known.port)
      return { place: null, path: url, shown, reason: 'the Host header names another host than the tunnel' };
    return { place: known, path: url, shown };
  }
  const [, authority = '', path = ''] = /^http:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const read = readAuthority(/:\d+$/.test(authority) ? authority : `${authority}:80`);
  const host = read === null ? null : nameOf(read.host);
  if (read === null || host === null) {
    const reason = read?.host.kind === 'refused' ? read.host.reason : 'it is no plain http:// address';
    return { place: null, path, shown: authority, reason };
  }
  const whole = path.startsWith('/') ? path : `/${path}`;
  return { place: { scheme: 'http', host, port: read.port }, path: whole, shown: authority };
}

export function nameOf(host: Host): string | null {
  if (host.kind === 'name') return host.name;
  return host.kind === 'address' ? host.address : null;
}

/** In the place of a host that holds a secret. */
export const withheld = '(withheld)';
/** What can be shown of a host that is none. */
export const shownHost = (text: string) => text.replace(/[^\x21-\x7e]/g, '?').slice(0, 200);

async function judge(
  parts: Exchange,
  request: IncomingMessage,
  asked: ReturnType<typeof placeOf>,
  entry: EgressEntry,
): Promise<Judged | { reason: string }> {
  const { ports } = parts;
  const [policy, index] = await Promise.all([ports.policy(), ports.secrets()]);
  const scan = new SecretScan(index, parts.seen(index));
  // Before anything is recorded or decided: what is refused must not put a secret into the log either.
  const pairs = passOn(request, { request: true });
  const inHost = scan.text(asked.shown);
  if (inHost !== null) {
    entry.host = withheld;
    throw new Stopped(inHost);
  }
  const inHostPartly = scan.partly;
  const inPath = scan.text(`${entry.method} ${asked.path}`);
  if (scan.partly) entry.path = withheld;
  const leak = inPath ?? scan.text(pairs.map(([name, value]) => `${name}: ${value}`).join('\n'));
  if (leak !== null && inHostPartly) entry.host = withheld;
  if (leak !== null) throw new Stopped(leak);
  if (policy.refusal !== null) return { reason: policy.refusal };
  const { place, path } = asked;
  if (place === null) return { reason: asked.reason ?? 'it is no address' };
  const method = request.method ?? '';
  const websocket = isWebSocket(request.headers);
  if (request.headers.upgrade !== undefined && !websocket)
    return { reason: 'no protocol but WebSocket may be upgraded to' };
  const found = judgePlace(policy, place, { method, path, websocket });
  if ('reason' in found) return found;
  const guarded = await ports.mayLeave?.({ host: place.host, port: place.port, method, path: entry.path });
  if (guarded != null) return { reason: guarded };
  if (found.credential === null) return { rule: found.rule, filled: null, scan };
  const filled = await ports.fill(found.credential);
  if (filled === null)
    return { reason: `the credential ${found.credential} is no longer granted, or the lease is lost` };
  entry.credential = found.credential;
  return { rule: found.rule, filled, scan };
}

/** A granted credential lets its own host be reached, within its scope; everything else is for the rules. */
function judgePlace(
  policy: EgressPolicy,
  place: Place,
  asked: { method: string; path: string; websocket: boolean },
): { rule: EgressRule | null; credential: string | null } | { reason: string } {
  const host = place.host;
  const read = readAuthority(`${host.includes(':') ? `[${host}]` : host}:${place.port}`)?.host ?? {
    kind: 'refused' as const,
    reason: '',
  };
  const rules = rulesFor(policy.rules, read, place.port);
  const brokered = policy.brokered.filter((one) => one.host === host && one.port === place.port);
  const usable = brokered.find(
    ({ insecure, scope }) =>
      (insecure || place.scheme === 'https') && (scope === 'write' || reachesSafely.has(asked.method)),
  );
  if (rules.length === 0) {
    if (usable !== undefined && !asked.websocket) return { rule: null, credential: usable.name };
    if (brokered.some(({ scope }) => scope === 'read') && !reachesSafely.has(asked.method))
      return { reason: `the credential for ${host} is granted for reading alone` };
    return { reason: `${host}:${place.port} is not on the allow-list` };
  }
  const judged = judgeRequest(rules, asked);
  return 'reason' in judged ? judged : { rule: judged.rule, credential: usable?.name ?? null };
}

interface Carried {
  request: IncomingMessage;
  answer: Answer;
  place: Place;
  path: string;
  judged: Judged;
  entry: EgressEntry;
}

async function carry(parts: Exchange, carried: Carried): Promise<void> {
  const { request, answer, place, path, judged, entry } = carried;
  const signal = AbortSignal.timeout(exchangeLimitMs);
  const websocket = answer.upgraded !== null;
  const outgoing = httpRequest({
    agent: parts.agentFor(place, judged.rule?.private ?? false),
    host: place.host,
    port: place.port,
    method: request.method ?? 'GET',
    path,
    headers: {
      ...outgoingHeaders(carried),
      ...(websocket ? { Connection: 'Upgrade', Upgrade: 'websocket' } : {}),
    },
    signal,
  });
  outgoing.setNoDelay(true);
  if (websocket) {
    await carryFrames(parts, carried, outgoing);
    return;
  }
  const incoming = Promise.withResolvers<IncomingMessage>();
  outgoing.once('response', incoming.resolve);
  outgoing.once('error', incoming.reject);
  // The answer may come, or the connection break, before the whole body was sent.
  const sent = sendBody(parts, carried, outgoing);
  sent.catch(incoming.reject);
  const response = await incoming.promise;
  entry.status = response.statusCode ?? 502;
  if (answer.response === null) throw new Error('a response has nowhere to go');
  const body = new BlottedBody(judged.filled?.secrets ?? []);
  const secrets = judged.filled?.secrets ?? [];
  answer.response.writeHead(
    entry.status,
    toOutgoing(passOn(response, { request: false }).map(([name, value]) => [name, blot(value, secrets)])),
  );
  body.on('data', () => {
    if (!parts.mayContinue({ sent: entry.sentBytes, received: body.bytes }))
      body.destroy(new Refused('the sandbox has received all that it may'));
  });
  try {
    await pipeline(response, body, answer.response);
    await sent;
  } finally {
    entry.receivedBytes = body.bytes;
    outgoing.destroy();
  }
}

const blot = (value: string, secrets: readonly string[]) =>
  secrets.reduce((text, secret) => text.replaceAll(secret, '*'.repeat(secret.length)), value);

function outgoingHeaders({ request, place, judged }: Carried): Record<string, string | string[]> {
  const { filled } = judged;
  const standard = place.scheme === 'https' ? 443 : 80;
  const host = place.host.includes(':') ? `[${place.host}]` : place.host;
  const replaced = filled === null ? [] : [filled.name.toLowerCase(), 'accept-encoding'];
  // Frames and answers that are packed could not be looked at.
  const dropped = new Set([...replaced, 'sec-websocket-extensions']);
  const pairs = passOn(request, { request: true }).filter(([name]) => !dropped.has(name.toLowerCase()));
  return {
    Host: place.port === standard ? host : `${host}:${place.port}`,
    ...toOutgoing(pairs),
    ...(filled === null ? {} : { [filled.name]: filled.value, 'Accept-Encoding': 'identity' }),
  };
}

async function sendBody(parts: Exchange, carried: Carried, outgoing: ClientRequest): Promise<void> {
  const { request, judged, entry } = carried;
  const body = new ScannedBody(judged.scan, request.headers['content-encoding'] ?? '');
  body.on('data', () => {
    entry.sentBytes = body.bytes;
    if (!parts.mayContinue({ sent: body.bytes, received: 0 }))
      body.destroy(new Refused('the sandbox has sent all that it may'));
  });
  try {
    await pipeline(request, body, outgoing);
  } catch (error) {
    outgoing.destroy();
    // The server may answer early and close; what it said is what counts.
    if (error instanceof Stopped || error instanceof Refused || entry.status === null) throw error;
  }
}

async function carryFrames(parts: Exchange, carried: Carried, outgoing: ClientRequest): Promise<void> {
  const { answer, entry, judged } = carried;
  const upgraded = Promise.withResolvers<{ response: IncomingMessage; socket: Duplex; head: Buffer }>();
  outgoing.once('upgrade', (response, socket, head) => upgraded.resolve({ response, socket, head }));
  outgoing.once('response', (response) => {
    response.resume();
    upgraded.reject(new Error(`the server answered ${response.statusCode} to a WebSocket`));
  });
  outgoing.once('error', upgraded.reject);
  outgoing.end();
  const { response, socket, head } = await upgraded.promise;
  if (answer.upgraded === null) throw new Error('an upgrade has nowhere to go');
  entry.status = 101;
  const client = answer.upgraded.socket;
  const lines = passOn(response, { request: false }).map(([name, value]) => `${name}: ${value}`);
  client.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines.join('\r\n')}\r\n\r\n`,
  );
  const frames = new ScannedFrames(judged.scan);
  const back = new BlottedBody(judged.filled?.secrets ?? []);
  if (head.length > 0) socket.unshift(head);
  if (answer.upgraded.head.length > 0) client.unshift(answer.upgraded.head);
  const watch = () => {
    if (!parts.mayContinue({ sent: frames.bytes, received: back.bytes }))
      frames.destroy(new Refused('the sandbox has sent or received all that it may'));
  };
  frames.on('data', watch);
  back.on('data', watch);
  try {
    await Promise.all([pipeline(client, frames, socket), pipeline(socket, back, client)]);
  } catch (error) {
    if (error instanceof Stopped || error instanceof Refused) throw error;
  } finally {
    entry.sentBytes = frames.bytes;
    entry.receivedBytes = back.bytes;
    client.destroy();
    socket.destroy();
  }
}

function tellFailure(parts: Exchange, error: unknown, entry: EgressEntry, answer: Answer): void {
  if (error instanceof Stopped) {
    entry.decision = 'stopped';
    entry.reason = error.leak.reason;
    entry.secret = error.leak.secret;
    entry.path = withheld;
    answer.refuse(403, `stopped: ${error.leak.reason}`);
  } else if (error instanceof Refused) {
    entry.decision = 'refused';
    entry.reason = error.message;
    answer.refuse(403, error.message);
  } else {
    entry.reason = entry.status === null ? 'it could not be reached' : 'the connection broke off';
    parts.log.debug({ err: error, host: entry.host }, 'a request of a sandbox failed');
    answer.refuse(502, entry.reason);
  }
}
