import { parse } from './parse.js';

/**
 * Adds up durations, written or in milliseconds.
 * @param {Iterable<string | number>} durations
 * @returns {number} milliseconds
 */
export function total(durations) {
  let sum = 0;
  for (const duration of durations) sum += typeof duration === 'number' ? duration : parse(duration);
  return sum;
}
