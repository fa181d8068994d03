import { describe, expect, test } from 'vitest';
import { findBreakingChanges, type Json } from './breaking-changes.ts';

const text = { type: 'string' };

/** A small API with everything in it that can break. */
function makeDocument(): Json & { paths: Json } {
  return {
    paths: {
      '/things': {
        post: {
          parameters: [
            { name: 'limit', in: 'query', required: false, schema: { type: 'integer', maximum: 100 } },
          ],
          requestBody: {
            required: false,
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Body' } } },
          },
          responses: {
            200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/View' } } } },
            404: { $ref: '#/components/responses/Missing' },
          },
        },
      },
    },
    components: {
      responses: { Missing: { content: { 'application/problem+json': { schema: text } } } },
      schemas: {
        Body: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: { type: 'string', minLength: 1, maxLength: 10 },
            colour: { type: 'string', enum: ['red', 'blue'] },
            size: { anyOf: [{ type: 'number' }, { type: 'null' }] },
          },
        },
        View: {
          type: 'object',
          required: ['id', 'state'],
          properties: {
            id: text,
            state: { type: 'string', enum: ['open', 'shut'] },
            parent: { $ref: '#/components/schemas/View' },
            marks: { type: 'array', items: { type: 'number' } },
            owner: { anyOf: [text, { type: 'null' }] },
          },
        },
      },
    },
  };
}

/** What is answered, by its state. */
function form(state: string): Json {
  const { View } = Object(makeDocument()['components']).schemas;
  return { ...View, properties: { ...View.properties, state: { type: 'string', const: state } } };
}

/** The same with one value put somewhere; undefined takes away. */
function change(place: string, value: unknown): Json {
  const document = makeDocument();
  const keys = place.split(' ');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<Record<string, unknown>>((at, key) => {
    const found: Record<string, unknown> = Object(at[key]);
    return found;
  }, document);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return document;
}

const post = 'paths /things post';
const body = 'components schemas Body';
const view = 'components schemas View';

describe('what breaks a client is seen', () => {
  test.each<[string, string, unknown, string]>([
    ['a path is gone', 'paths /things', undefined, 'POST /things is gone'],
    ['a method is gone', post, undefined, 'POST /things is gone'],
    ['an answer is gone', `${post} responses 200`, undefined, '200 is gone'],
    [
      'an answer has another media type',
      `${post} responses 200 content`,
      { 'text/plain': {} },
      'application/json is gone',
    ],
    ['a parameter is gone', `${post} parameters`, [], 'the parameter query limit is gone'],
    [
      'a parameter is required',
      `${post} parameters 0 required`,
      true,
      'the parameter query limit is required now',
    ],
    [
      'a parameter has another type',
      `${post} parameters 0 schema`,
      { type: 'boolean' },
      'integer became boolean',
    ],
    ['a parameter takes less', `${post} parameters 0 schema maximum`, 50, 'maximum is 50 now, and was 100'],
    ['a body is required', `${post} requestBody required`, true, 'a body is required now'],
    ['a sent field is refused', `${body} properties colour`, undefined, '.colour is gone'],
    ['a sent field is required', `${body} required`, ['name', 'colour'], '.colour is required now'],
    ['a sent field has another type', `${body} properties name`, { type: 'number' }, 'string became number'],
    ['a sent enum is narrower', `${body} properties colour enum`, ['red'], 'the value blue is gone'],
    ['a sent text becomes an enum', `${body} properties name enum`, ['a'], 'takes only some values now'],
    ['a sent text must be shorter', `${body} properties name maxLength`, 5, 'maxLength is 5 now'],
    ['a sent text must be longer', `${body} properties name minLength`, 2, 'minLength is 2 now'],
    ['a sent text must fit a pattern', `${body} properties name pattern`, '^a', 'must fit another pattern'],
    ['null is no longer taken', `${body} properties size`, { type: 'number' }, 'no longer takes'],
    ['an answered field is gone', `${view} properties id`, undefined, '.id is gone'],
    ['an answered field is not always there', `${view} required`, ['id'], '.state is not always there now'],
    [
      'an answered field has another type',
      `${view} properties id`,
      { type: 'number' },
      'string became number',
    ],
    ['an answered enum is narrower', `${view} properties state enum`, ['open'], 'the value shut is gone'],
    ['an answered enum is any text', `${view} properties state`, text, 'the list of its values is gone'],
    ['items have another type', `${view} properties marks items`, text, 'number became string'],
    [
      'an answer may be null',
      `${view} properties id`,
      { type: ['string', 'null'] },
      'string became string|null',
    ],
    ['an answer may be something else', `${view} properties owner anyOf 0`, { type: 'number' }, 'may now be'],
    [
      'one of the forms that an answer may take lacks a field',
      view,
      { oneOf: [form('open'), { ...form('shut'), required: ['state'] }] },
      'may now be',
    ],
    [
      'a problem has another form',
      'components responses Missing content application/problem+json schema',
      { type: 'object' },
      'string became object',
    ],
  ])('%s', (_name, place, value, line) => {
    expect(findBreakingChanges(makeDocument(), change(place, value)).join('\n')).toContain(line);
  });
});

describe('what is added breaks nothing', () => {
  test.each<[string, string, unknown]>([
    ['nothing', 'paths', makeDocument().paths],
    ['a path', 'paths /others', { get: {} }],
    ['a method', 'paths /things get', { responses: {} }],
    ['an answer', `${post} responses 202`, {}],
    ['an optional field that is sent', `${body} properties more`, text],
    ['an optional parameter', `${post} parameters 1`, { name: 'q', in: 'query', schema: text }],
    ['a field that is answered', `${view} properties more`, text],
    ['a value of an answered enum', `${view} properties state enum`, ['open', 'shut', 'ajar']],
    ['several forms of an answer', view, { oneOf: [form('open'), form('shut')] }],
    ['a value of a sent enum', `${body} properties colour enum`, ['red', 'blue', 'green']],
    ['more of a text', `${body} properties name maxLength`, 20],
    ['one field less that must be sent', `${body} required`, []],
  ])('%s', (_name, place, value) => {
    expect(findBreakingChanges(makeDocument(), change(place, value))).toEqual([]);
  });
});
