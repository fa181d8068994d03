/** What an identifier names; the prefix of every identifier. */
export const idPrefixes = [
  'prn',
  'agt',
  'prj',
  'task',
  'run',
  'ask',
  'chg',
  'art',
  'bud',
  'res',
  'evt',
  'key',
  'ses',
  'wrk',
  'tmr',
  'inst',
  'dlv',
  'whk',
  'hook',
  'hdl',
  'msg',
] as const;
export type IdPrefix = (typeof idPrefixes)[number];

export type Id<P extends IdPrefix> = `${P}_${string}`;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A new identifier: `run_` and 17 characters of Crockford base 32, nine of time in milliseconds and eight at
 * random; ordered by time so that an index grows at its end.
 * @param now milliseconds since 1970; random: eight bytes or more
 */
export function formatId<P extends IdPrefix>(prefix: P, now: number, random: Uint8Array): Id<P> {
  let time = '';
  for (let rest = now, digit = 0; digit < 9; digit++, rest = Math.floor(rest / 32)) {
    time = alphabet.charAt(rest % 32) + time;
  }
  let noise = '';
  for (const byte of random.subarray(0, 8)) noise += alphabet.charAt(byte & 31);
  return `${prefix}_${time}${noise}`;
}
