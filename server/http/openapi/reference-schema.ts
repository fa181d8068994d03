import type { JsonSchema } from './components.ts';
import { propertiesOf } from './examples.ts';

/** One schema as people read it: its fields in a table, or its type in a line. */
export function renderFields(schema: JsonSchema): string {
  const fields = Object.entries(propertiesOf(schema));
  if (fields.length === 0) return `<p>${describeType(schema)}</p>`;
  const required = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  const rows = fields.map(
    ([name, field]) =>
      `<tr><th scope="row"><code>${escapeText(name)}</code></th><td>${required.has(name) ? 'always' : 'optional'}</td><td>${describeType(field)}${nested(field)}</td></tr>`,
  );
  return `<div class="wide"><table><tbody>${rows.join('')}</tbody></table></div>`;
}

/** `list of TaskView`, with a link where the schema is named. */
export function describeType(schema: JsonSchema): string {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const name = escapeText(reference.split('/').at(-1) ?? '');
    return `<a href="#schema-${name}">${name}</a>`;
  }
  const choices = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(choices)) return choices.map((choice) => describeType(choice)).join(' or ');
  if ('const' in schema) return `<code>${escapeText(JSON.stringify(schema['const']))}</code>`;
  if (Array.isArray(schema['enum']))
    return schema['enum'].map((value) => `<code>${escapeText(`${value}`)}</code>`).join(' or ');
  const types = [schema['type']].flat().filter((type) => typeof type === 'string');
  if (types.includes('array')) {
    const { items } = schema;
    return `list of ${typeof items === 'object' && items !== null ? describeType({ ...items }) : 'anything'}${limits(schema)}`;
  }
  return `${types.join(' or ') || 'anything'}${limits(schema)}`;
}

const limitWords: [string, string][] = [
  ['minLength', 'at least {} characters'],
  ['maxLength', 'at most {} characters'],
  ['minimum', 'at least {}'],
  ['exclusiveMinimum', 'above {}'],
  ['maximum', 'at most {}'],
  ['minItems', 'at least {} of them'],
  ['maxItems', 'at most {} of them'],
  ['format', '{}'],
  ['pattern', 'fits {}'],
  ['default', '{} where it is left out'],
];

function limits(schema: JsonSchema): string {
  const told = limitWords.flatMap(([keyword, words]) => {
    const value = schema[keyword];
    if (value === undefined) return [];
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    return [words.replace('{}', () => `<code>${escapeText(shown)}</code>`)];
  });
  return told.length === 0 ? '' : `, ${told.join(', ')}`;
}

function nested(schema: JsonSchema): string {
  const { items } = schema;
  const inner = typeof items === 'object' && items !== null ? { ...items } : schema;
  return Object.keys(propertiesOf(inner)).length === 0 ? '' : renderFields(inner);
}

function escapeText(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
