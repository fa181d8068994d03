import fc from 'fast-check';
import type { JsonSchema } from '../../server/http/openapi/components.ts';
import { propertiesOf } from '../../server/http/openapi/examples.ts';

type Find = (component: string) => JsonSchema;
const deepest = 5;

/** Text that has broken programs: NUL, halves of pairs, right-to-left marks, paths, SQL, numbers in disguise. */
export const hostileText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    '\udfff\ud800',
    '\u202egnp.exe',
    '../../../etc/passwd',
    '%00',
    '%2e%2e%2f',
    "'; DROP TABLE tasks; --",
    '$1',
    '{{7*7}}',
    '__proto__',
    'constructor',
    'null',
    'NaN',
    '-0',
    '1e309',
    '999999999999999999999',
    '9007199254740993',
    '0000-00-00T00:00:00Z',
    '275760-09-13T00:00:00.001Z',
    'task_',
    'task_00000000000000000',
    '\ufeff',
    '𝕬'.repeat(300),
    'x'.repeat(5_000),
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
);

const hostileNumber = fc.constantFrom(
  -1,
  0,
  -0,
  0.5,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  5e-324,
);

/** Whatever JSON can say, of any type. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  hostileNumber,
  fc.constantFrom(null, true, false, [], {}, [[]], { __proto__: null }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Mostly what fits a schema, and now and then, anywhere inside, something that does not. */
export function valueFor(schema: JsonSchema, find: Find, depth = 0): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 12, arbitrary: fitting(schema, find, depth) },
    { weight: 1, arbitrary: hostileValue },
  );
}

function fitting(schema: JsonSchema, find: Find, depth: number): fc.Arbitrary<unknown> {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return fitting(find(reference.split('/').at(-1) ?? ''), find, depth);
  if ('const' in schema) return fc.constant(schema['const']);
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...schema['enum']);
  const choices = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(choices)) return fc.oneof(...choices.map((choice) => fitting(choice, find, depth + 1)));
  const [type] = [schema['type']].flat();
  if (type === 'object') return depth > deepest ? fc.constant({}) : objectFor(schema, find, depth);
  if (type === 'array') return depth > deepest ? fc.constant([]) : listFor(schema, find, depth);
  if (type === 'integer' || type === 'number') return numberFor(schema);
  if (type === 'boolean') return fc.boolean();
  if (type === 'string') return textFor(schema);
  return type === 'null' ? fc.constant(null) : hostileValue;
}

function objectFor(schema: JsonSchema, find: Find, depth: number): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(propertiesOf(schema)).map(([name, field]) => [name, valueFor(field, find, depth + 1)]),
  );
  const required = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  const requiredKeys = Object.keys(fields).filter((name) => required.has(name));
  const known = fc.record(fields, { requiredKeys });
  const odd = fc
    .tuple(known, hostileText, hostileValue)
    .map(([value, name, more]) => ({ ...value, [name]: more }));
  return fc.oneof({ weight: 12, arbitrary: known }, { weight: 1, arbitrary: odd });
}

function listFor(schema: JsonSchema, find: Find, depth: number): fc.Arbitrary<unknown> {
  const { items, minItems } = schema;
  const item =
    typeof items === 'object' && items !== null ? valueFor({ ...items }, find, depth + 1) : hostileValue;
  return fc.array(item, { minLength: Math.min(numberOr(minItems, 0), 3), maxLength: 4 });
}

function numberFor(schema: JsonSchema): fc.Arbitrary<number> {
  const min = numberOr(schema['minimum'], numberOr(schema['exclusiveMinimum'], -1) + 1);
  const max = Math.max(min, Math.min(numberOr(schema['maximum'], 10_000), 2 ** 31 - 1));
  const whole = fc.integer({ min: Math.ceil(Math.min(min, 2 ** 31 - 1)), max: Math.floor(max) });
  return fc.oneof({ weight: 6, arbitrary: whole }, { weight: 1, arbitrary: hostileNumber });
}

function textFor(schema: JsonSchema): fc.Arbitrary<string> {
  const { format, pattern } = schema;
  const hostile = { weight: 2, arbitrary: hostileText };
  if (format === 'date-time')
    return fc.oneof(
      {
        weight: 8,
        arbitrary: fc
          .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
          .map((date) => date.toISOString()),
      },
      hostile,
    );
  if (format === 'uri') return fc.oneof({ weight: 8, arbitrary: fc.webUrl() }, hostile);
  if (typeof pattern === 'string' && canMake(pattern))
    return fc.oneof({ weight: 8, arbitrary: fc.stringMatching(new RegExp(pattern, 'u')) }, hostile);
  const minLength = Math.min(numberOr(schema['minLength'], 0), 50);
  const maxLength = Math.max(minLength, Math.min(numberOr(schema['maxLength'], 40), 200));
  return fc.oneof({ weight: 8, arbitrary: fc.string({ minLength, maxLength }) }, hostile);
}

/** Patterns with classes of Unicode or with looks ahead are not made from. */
function canMake(pattern: string): boolean {
  return !/\\p\{|\(\?[=!<]|\\b/.test(pattern);
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}
