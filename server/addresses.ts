/** What the host of an address is, read strictly: what two programs could read differently is refused. */
export type Host =
  | { kind: 'name'; name: string }
  | { kind: 'address'; address: string }
  | { kind: 'refused'; reason: string };

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads a host as it stands in an address or after CONNECT, without its port; IPv6 in brackets or bare. Names come
 * back in lower case. Other spellings of an address (octal, hexadecimal, one number, short forms), a trailing dot, a
 * user, a zone, escapes, control and non-ASCII characters are refused, never interpreted.
 */
export function readHost(text: string): Host {
  const inBrackets = text.match(/^\[([^\]]*)\]$/)?.[1];
  if (inBrackets !== undefined || (text.includes(':') && !text.includes('['))) {
    const bytes = parseV6(inBrackets ?? text);
    return bytes === null
      ? refused('it is no IPv6 address (zones and short forms of IPv4 are not taken)')
      : { kind: 'address', address: formatV6(bytes) };
  }
  if (/[^\x21-\x7e]/.test(text)) {
    return refused(
      'it holds characters beyond printable ASCII; write an international name in its xn-- form',
    );
  }
  const name = text.toLowerCase();
  if (name === '' || name.length > 253) return refused('a host has 1 to 253 characters');
  const labels = name.split('.');
  const last = labels.at(-1) ?? '';
  if (/^(\d+|0x[0-9a-f]*)$/.test(last)) {
    const bytes = parseV4(name);
    return bytes === null
      ? refused('it is an unusual spelling of an IPv4 address; write four decimal numbers')
      : { kind: 'address', address: bytes.join('.') };
  }
  if (!labels.every((part) => label.test(part))) return refused('it is no host name');
  return { kind: 'name', name };
}

/** `host:port`, strictly; null where the port is missing or none. */
export function readAuthority(text: string): { host: Host; port: number } | null {
  const [, host, digits] = /^(\[[^\]]*\]|[^:]*):([1-9]\d{0,4})$/s.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535 || text.endsWith('\n')) return null;
  return { host: readHost(host), port };
}

/**
 * Why nothing of ours connects to this address on a stranger's word; null for a public one. An IPv4 address inside
 * an IPv6 one (mapped, NAT64) is judged as itself; 6to4, Teredo and the like lead elsewhere and are refused whole.
 * @param address as the system's resolver gives it
 */
export function judgeAddress(address: string): string | null {
  const v4 = parseV4(address);
  if (v4 !== null) return judgeV4(v4);
  const v6 = parseV6(address);
  if (v6 === null) return 'not an address';
  const embedded = v6.slice(12);
  if (startsWith(v6, '00000000000000000000ffff', 96)) return judgeV4(embedded);
  if (startsWith(v6, '0064ff9b0000000000000000', 96)) return judgeV4(embedded);
  return (
    rangesV6.find(([, prefix, bits]) => startsWith(v6, prefix, bits))?.[0] ??
    (startsWith(v6, '20', 3) ? null : 'not in the public range')
  );
}

/** Names that mean this machine, this network or a cloud's metadata, whatever they resolve to. */
export function isPrivateName(name: string): boolean {
  return (
    !name.includes('.') || /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa|localdomain)$/.test(name)
  );
}

const rangesV4: [reason: string, first: [number, number, number, number], bits: number][] = [
  ['this network', [0, 0, 0, 0], 8],
  ['private', [10, 0, 0, 0], 8],
  ['carrier-grade NAT', [100, 64, 0, 0], 10],
  ['loopback', [127, 0, 0, 0], 8],
  ['link-local, where clouds keep their metadata', [169, 254, 0, 0], 16],
  ['cloud metadata', [168, 63, 129, 16], 32],
  ['private', [172, 16, 0, 0], 12],
  ['reserved by the IETF', [192, 0, 0, 0], 24],
  ['documentation', [192, 0, 2, 0], 24],
  ['6to4 relay', [192, 88, 99, 0], 24],
  ['private', [192, 168, 0, 0], 16],
  ['benchmarking', [198, 18, 0, 0], 15],
  ['documentation', [198, 51, 100, 0], 24],
  ['documentation', [203, 0, 113, 0], 24],
  ['multicast', [224, 0, 0, 0], 4],
  ['reserved', [240, 0, 0, 0], 4],
];

/** Within 2000::/3; what lies outside of it is refused as a whole. */
const rangesV6: [reason: string, prefix: string, bits: number][] = [
  ['Teredo and other IETF ranges', '2001', 23],
  ['documentation', '20010db8', 32],
  ['6to4', '2002', 16],
  ['documentation', '3fff', 20],
  ['6bone', '3ffe', 16],
];

function judgeV4(bytes: readonly number[]): string | null {
  const value = bytes.reduce((all, byte) => all * 256 + byte, 0);
  const found = rangesV4.find(([, first, bits]) => {
    const size = 2 ** (32 - bits);
    const start = first.reduce((all, byte) => all * 256 + byte, 0);
    return value >= start && value < start + size;
  });
  return found?.[0] ?? null;
}

/** Four decimal numbers without leading zeros, nothing else. */
function parseV4(text: string): number[] | null {
  if (!/^(?:(?:0|[1-9]\d{0,2})(?:\.|$)){4}$/.test(text) || text.endsWith('.')) return null;
  const bytes = text.split('.').map(Number);
  return bytes.length === 4 && bytes.every((byte) => byte <= 255) ? bytes : null;
}

function parseV6(text: string): number[] | null {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return null;
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return null;
  const first = groupsOf(head);
  const rest = tail === undefined ? [] : groupsOf(tail);
  if (first === null || rest === null) return null;
  const missing = 16 - first.length - rest.length;
  if (tail === undefined ? missing !== 0 : missing < 2) return null;
  return [...first, ...Array.from({ length: missing }, () => 0), ...rest];
}

/** The bytes of one side of `::`. */
function groupsOf(text: string): number[] | null {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      const v4 = index === groups.length - 1 ? parseV4(group) : null;
      if (v4 === null) return null;
      bytes.push(...v4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

function formatV6(bytes: readonly number[]): string {
  return Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  ).join(':');
}

function startsWith(bytes: readonly number[], prefix: string, bits: number): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const wanted = Number.parseInt(prefix.slice((bit >> 3) * 2, (bit >> 3) * 2 + 2) || '0', 16);
    const mask = 0x80 >> (bit & 7);
    if (((bytes[bit >> 3] ?? 0) & mask) !== (wanted & mask)) return false;
  }
  return true;
}

function refused(reason: string): Host {
  return { kind: 'refused', reason };
}
