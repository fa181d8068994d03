import { type EgressPreset, type EgressRule, egressPresets, egressRule } from '../../../contract/egress.ts';
import { type Host, readHost } from '../../addresses.ts';

/** The rules of presets: reading and publishing alike, by every path. */
export function rulesOfPresets(presets: readonly EgressPreset[]): EgressRule[] {
  return presets.flatMap((preset) => egressPresets[preset].map((host) => egressRule.parse({ host })));
}

/** The rules that speak of a host and port. Names are compared whole, `*.` stands for one label or more. */
export function rulesFor(rules: readonly EgressRule[], host: Host, port: number): EgressRule[] {
  if (host.kind === 'refused') return [];
  return rules.filter((rule) => rule.ports.includes(port) && isSame(rule.host, host));
}

function isSame(wanted: string, host: Exclude<Host, { kind: 'refused' }>): boolean {
  if (wanted.startsWith('*.'))
    return (
      host.kind === 'name' && host.name.length > wanted.length - 1 && host.name.endsWith(wanted.slice(1))
    );
  const rule = readHost(wanted);
  if (rule.kind === 'name') return host.kind === 'name' && host.name === rule.name;
  return rule.kind === 'address' && host.kind === 'address' && host.address === rule.address;
}

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  websocket: boolean;
}

/** What lets a request pass, or why nothing does. `rules` are those of its host. */
export function judgeRequest(
  rules: readonly EgressRule[],
  asked: Asked,
): { rule: EgressRule } | { reason: string } {
  const { method, path, websocket } = asked;
  const byMethod = rules.filter(
    (rule) => rule.methods === null || rule.methods.some((allowed) => allowed === method),
  );
  if (byMethod.length === 0) return { reason: `the allow-list of this host does not hold ${method}` };
  const byPath = byMethod.filter((rule) => rule.pathPrefix === null || isBelow(rule.pathPrefix, path));
  if (byPath.length === 0) return { reason: 'the allow-list of this host does not hold this path' };
  const found = websocket ? byPath.find((rule) => rule.websocket) : byPath[0];
  return found === undefined
    ? { reason: 'the allow-list of this host does not hold WebSockets' }
    : { rule: found };
}

/** Whole segments; a path that a server could read differently is below nothing. */
function isBelow(prefix: string, path: string): boolean {
  const plain = path.split(/[?#]/, 1)[0] ?? '';
  if (/%2e|%2f|%5c|%00|\\|\/\/|;/i.test(plain) || /(^|\/)\.\.?(\/|$)/.test(plain)) return false;
  return plain === prefix || plain.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}
