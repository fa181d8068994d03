import { unitsByAlias } from './units.js';

const term = /(\d+(?:\.\d+)?)\s*([a-z]+)/gy;

/**
 * Reads a duration such as `1h 30m`, `2.5 days` or `-10 min`.
 * @param {string} text
 * @returns {number} milliseconds
 * @throws {RangeError} if the text is not a duration
 */
export function parse(text) {
  const trimmed = text.trim().toLowerCase();
  const sign = trimmed.startsWith('-') ? -1 : 1;
  const terms = trimmed.replace(/^[-+]\s*/, '').replace(/[\s,]+(?=\d)/g, '');
  let sum = 0;
  let end = 0;
  for (const [whole, count, alias] of terms.matchAll(term)) {
    const unit = unitsByAlias.get(alias);
    if (unit === undefined) throw new RangeError(`"${alias}" is not a unit of time`);
    sum += Number(count) * unit.milliseconds;
    end += whole.length;
  }
  if (end === 0 || end !== terms.length) throw new RangeError(`"${text}" is not a duration`);
  return sign * sum;
}
