/**
 * @typedef {object} Unit
 * @property {string} name in the singular
 * @property {string} short
 * @property {number} milliseconds
 * @property {string[]} aliases what `parse` accepts, besides the name and its plural
 */

/** From the largest to the smallest. @type {readonly Unit[]} */
export const units = [
  { name: 'week', short: 'w', milliseconds: 604_800_000, aliases: ['w'] },
  { name: 'day', short: 'd', milliseconds: 86_400_000, aliases: ['d'] },
  { name: 'hour', short: 'h', milliseconds: 3_600_000, aliases: ['h', 'hr'] },
  { name: 'minute', short: 'm', milliseconds: 60_000, aliases: ['m', 'min'] },
  { name: 'second', short: 's', milliseconds: 1_000, aliases: ['s', 'sec'] },
  { name: 'millisecond', short: 'ms', milliseconds: 1, aliases: ['ms'] },
];

/** @type {ReadonlyMap<string, Unit>} */
export const unitsByAlias = new Map(
  units.flatMap((unit) =>
    [unit.name, `${unit.name}s`, ...unit.aliases].map((alias) => /** @type {const} */ ([alias, unit])),
  ),
);
