import plur from 'plur';
import { units } from './units.js';

/**
 * Writes a duration with its largest units, the last of them rounded.
 * @param {number} milliseconds
 * @param {{ parts?: number, long?: boolean }} [options] `parts`: the most units to show; `long`: `2 hours`, not `2h`
 * @returns {string}
 */
export function format(milliseconds, { parts = 2, long = false } = {}) {
  if (!Number.isFinite(milliseconds)) throw new RangeError(`${milliseconds} is not a duration`);
  const written = split(Math.abs(milliseconds), parts)
    .filter(({ count }) => count > 0)
    .map(({ count, unit }) => (long ? `${count} ${plur(unit.name, count)}` : `${count}${unit.short}`))
    .join(' ');
  if (written === '') return long ? '0 seconds' : '0s';
  return milliseconds < 0 ? `-${written}` : written;
}

/**
 * @param {number} milliseconds not negative
 * @param {number} parts
 */
function split(milliseconds, parts) {
  const largest = units.findIndex((unit) => milliseconds >= unit.milliseconds);
  const shown = largest === -1 ? [] : units.slice(largest, largest + parts);
  let rest = milliseconds;
  return shown.map((unit, index) => {
    const exact = rest / unit.milliseconds;
    const count = index === shown.length - 1 ? Math.round(exact) : Math.floor(exact);
    rest -= count * unit.milliseconds;
    return { unit, count };
  });
}
