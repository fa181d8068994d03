import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** Of one connection only, and never passed on; names that a connection's header adds are dropped too. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** These would make a server read another method or path than was judged. */
const misleading = /^x-(?:http-method|method)-override$|^x-http-method$|^x-original-url$|^x-rewrite-url$/;

/** Headers as they go on, in pairs; every value of a repeated one. */
export function passOn(message: IncomingMessage, options: { request: boolean }): [string, string][] {
  const named = new Set(
    String(message.headers.connection ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const kept: [string, string][] = [];
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const name = message.rawHeaders[index] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || named.has(lower)) continue;
    if (options.request && (lower === 'host' || misleading.test(lower))) continue;
    kept.push([name, message.rawHeaders[index + 1] ?? '']);
  }
  return kept;
}

/** In the form that Node's client takes, repeated ones as lists. */
export function toOutgoing(pairs: readonly [string, string][]): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  const names = new Map<string, string>();
  for (const [given, value] of pairs) {
    const name = names.get(given.toLowerCase()) ?? given;
    names.set(given.toLowerCase(), name);
    const before = all[name];
    all[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return all;
}

export function isWebSocket(headers: IncomingHttpHeaders): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}
