import type { JsonSchema } from './components.ts';

/** What a field of this name usually holds; where the schema allows it. */
const knownValues: Record<string, unknown> = {
  id: 'task_0k3v9m2q7x4b8n1cd',
  taskId: 'task_0k3v9m2q7x4b8n1cd',
  runId: 'run_0k3v9m2q7x4b8n1ce',
  projectId: 'prj_0k3v9m2q7x4b8n1cf',
  instructions: 'Invoices must show dates as ISO 8601.',
  title: 'ISO dates on invoices',
  repository: '/home/ada/code/shop',
  branch: 'main',
  agent: 'developer',
  actor: 'ada',
  name: 'example',
  model: 'anthropic/claude-sonnet-4-5',
  url: 'https://example.org/hook',
  baseUrl: 'https://example.org/v1',
  comments: 'Keep the old format in the export.',
  text: 'Look at the tests of the export first.',
  token: 'kZ3vQ9m2q7x4b8n1cdTy',
  command: 'npm test',
  owner: 'operators',
  reason: 'waits for a review',
};
const deepest = 6;

/**
 * A value that fits the schema, for people to read: every required field, and the optional ones of the top.
 * @param find the schema of a component by its name
 */
export function exampleOf(
  schema: JsonSchema,
  find: (component: string) => JsonSchema,
  context: { name?: string; depth?: number } = {},
): unknown {
  const { name = '', depth = 0 } = context;
  const reference = schema['$ref'];
  if (typeof reference === 'string') return exampleOf(find(reference.split('/').at(-1) ?? ''), find, context);
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  if ('default' in schema) return schema['default'];
  const choices = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(choices)) return exampleOf(choices[0] ?? {}, find, context);
  if (Array.isArray(schema['allOf'])) return exampleOf(schema['allOf'][0] ?? {}, find, context);
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  if (type === 'object') return depth > deepest ? {} : exampleOfObject(schema, find, depth);
  if (type === 'array') return exampleOfArray(schema, find, { name, depth });
  if (type === 'integer' || type === 'number') return exampleOfNumber(schema);
  if (type === 'boolean') return false;
  if (type === 'null' || type === undefined) return null;
  return exampleOfText(schema, name);
}

function exampleOfObject(schema: JsonSchema, find: (name: string) => JsonSchema, depth: number): unknown {
  const properties = propertiesOf(schema);
  const required = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  const shown = Object.entries(properties).filter(([key]) => required.has(key) || key in knownValues);
  return Object.fromEntries(
    shown.map(([key, property]) => [key, exampleOf(property, find, { name: key, depth: depth + 1 })]),
  );
}

function exampleOfArray(
  schema: JsonSchema,
  find: (name: string) => JsonSchema,
  { name, depth }: { name: string; depth: number },
): unknown {
  const items = schema['items'];
  if (depth > deepest || typeof items !== 'object' || items === null) return [];
  return [exampleOf({ ...items }, find, { name: name.replace(/s$/, ''), depth: depth + 1 })];
}

function exampleOfNumber(schema: JsonSchema): number {
  const { minimum, exclusiveMinimum } = schema;
  if (typeof minimum === 'number') return minimum;
  if (typeof exclusiveMinimum === 'number') return exclusiveMinimum + 1;
  return 1;
}

function exampleOfText(schema: JsonSchema, name: string): string {
  const { format, pattern, minLength } = schema;
  if (format === 'date-time') return '2026-05-04T21:07:00.000Z';
  if (format === 'date') return '2026-05-04';
  if (/(At|deadline)$/i.test(name) && pattern === undefined) return '2026-05-04T21:07:00.000Z';
  if (format === 'uri') return 'https://example.org/';
  const known = knownValues[name];
  const fits = (text: string) =>
    (typeof pattern !== 'string' || new RegExp(pattern, 'u').test(text)) &&
    (typeof minLength !== 'number' || text.length >= minLength);
  const candidates = [known, 'example', 'anthropic/claude-sonnet-4-5', `${name}`, '1', 'x'.repeat(24)];
  return candidates.find((text): text is string => typeof text === 'string' && fits(text)) ?? 'example';
}

export function propertiesOf(schema: JsonSchema): Record<string, JsonSchema> {
  const { properties } = schema;
  if (typeof properties !== 'object' || properties === null) return {};
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, { ...value }]));
}
