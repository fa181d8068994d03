import { z } from 'zod';

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
  'wrk',
  'tmr',
  'inst',
  'dlv',
] as const;
export type IdPrefix = (typeof idPrefixes)[number];

export type Id<P extends IdPrefix> = `${P}_${string}`;
export type RunId = Id<'run'>;
export type TaskId = Id<'task'>;
export type AskId = Id<'ask'>;
export type ChangeId = Id<'chg'>;
export type AgentId = Id<'agt'>;
export type ProjectId = Id<'prj'>;
export type PrincipalId = Id<'prn'>;
export type ArtifactId = Id<'art'>;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** `run_` and 17 characters of Crockford base 32: nine of time in milliseconds, eight at random. */
export const id = <P extends IdPrefix>(prefix: P) =>
  z.custom<Id<P>>(
    (value) => typeof value === 'string' && new RegExp(`^${prefix}_[${alphabet}]{17}$`).test(value),
    { error: `expected an identifier such as ${prefix}_${'0'.repeat(9)}abcdefgh` },
  );

/**
 * A new identifier, ordered by time so that an index grows at its end.
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
