const minute = 60_000;
const hour = 60 * minute;

/** Milliseconds before each further try: 11 tries over three days. */
const delays = [
  5_000,
  minute,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  8 * hour,
  12 * hour,
  20 * hour,
  24 * hour,
];
const longestWait = 24 * hour;
/** A receiver that took nothing for so long is sent nothing any more. */
const disableAfter = 72 * hour;

/**
 * Milliseconds until the next try; null where there is none.
 * @param tries those that have failed
 * @param retryAfterMs what the receiver asked for: never earlier, and at most a day
 * @param random from 0 to 1: spreads those that failed together
 */
export function delayBefore(tries: number, retryAfterMs: number | null, random: number): number | null {
  const delay = delays[tries - 1];
  if (delay === undefined) return null;
  const spread = delay * (0.8 + 0.4 * random);
  return Math.round(Math.max(spread, Math.min(retryAfterMs ?? 0, longestWait)));
}

/** @param failingSince milliseconds since 1970, null where the last try was taken */
export function isLongDead(failingSince: number | null, now: number): boolean {
  return failingSince !== null && now - failingSince >= disableAfter;
}
