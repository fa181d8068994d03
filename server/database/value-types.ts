import pg from 'pg';

const textArray: number = 1009;

type Parser = (text: string) => unknown;

/** How PostgreSQL's values become ours; given to each client, so that the driver's global table stays untouched. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : parsers.get(oid)) ?? pg.types.getTypeParser(oid, format ?? 'text'),
};

/** ISO 8601 in UTC with milliseconds, from what PostgreSQL writes with any time zone; finer digits are cut. */
function parseTimestamp(text: string): string {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?([+-]\d\d)(?::(\d\d))?$/.exec(text);
  if (!match) return text;
  const [, day, time, fraction = '', hours, minutes = '00'] = match;
  const utc = `${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}`;
  if (hours === '+00' && minutes === '00') return `${utc}Z`;
  return new Date(`${utc}${hours}:${minutes}`).toISOString();
}

const asIs: Parser = (text) => text;

/** Of any depth; the driver's own parser of text arrays takes them apart. */
function arrayOf(parser: Parser): Parser {
  const parseEntries = (entries: unknown): unknown => {
    if (Array.isArray(entries)) return entries.map(parseEntries);
    return typeof entries === 'string' ? parser(entries) : entries;
  };
  return (text) => parseEntries(pg.types.getTypeParser(textArray)(text));
}

const parsers = new Map<number, Parser>([
  [20, Number],
  [1016, arrayOf(Number)],
  [1700, Number],
  [1231, arrayOf(Number)],
  [1184, parseTimestamp],
  [1185, arrayOf(parseTimestamp)],
  [1082, asIs],
  [1114, asIs],
]);
