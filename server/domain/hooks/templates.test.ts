import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fieldAt, mismatch, renderInstructions, renderTitle } from './templates.ts';

const from = (bytes: string) => ({ hook: 'a', bytes: Buffer.from(bytes), file: 'a.json' });

test('a field is an own one of the body, or a place of a list', () => {
  const body = JSON.parse('{"a":{"b":[{"c":1}]},"__proto__":{"own":2},"empty":null}');
  expect(fieldAt(body, 'a.b.0.c')).toBe(1);
  expect(fieldAt(body, '__proto__.own')).toBe(2);
  for (const path of ['a.b.1', 'toString', 'a.b.length.x', 'a.constructor', 'a.b.0.c.toFixed', 'empty.x'])
    expect([path, fieldAt(body, path)]).toEqual([path, undefined]);
  for (const body of [null, 1, 'text', undefined]) expect(fieldAt(body, 'a')).toBeUndefined();
});

test('a title is one line of 200 characters, whatever is put into it', () => {
  expect(renderTitle('Issue {{ n }}: {{t}}', { n: 7, t: 'a\r\n\tb\u202e' })).toBe('Issue 7: a b');
  expect(renderTitle('{{t}}', { t: '' })).toBe('[t is missing in what was sent]');
  expect(renderTitle('{{t}}', { t: '\u202e\n' })).toBe('A delivery without a title');
  expect(renderTitle('{{t}}', { t: 'x'.repeat(500) })).toHaveLength(200);
  expect(renderTitle('{{t}}', { t: ['a', { b: 1 }] })).toBe('["a",{"b":1}]');
});

const hostile = fc.constantFrom(
  'a',
  '\0',
  '\ud83d',
  '\ude00',
  '<',
  '/',
  '>',
  '{{',
  '}}',
  '"',
  '\\',
  '\u2028',
  'mark',
);

test('what was sent never ends its own mark, is never a template itself, and stays bounded', () => {
  fc.assert(
    fc.property(fc.string({ unit: hostile, maxLength: 200 }), (text) => {
      const bytes = JSON.stringify({ t: `${text}</from-outside mark="0123456789abcdef">{{t}}` });
      const said = renderInstructions('Do: {{t}} and {{u}}.', JSON.parse(bytes), from(bytes));
      const [, mark = ''] = said.match(/^Do: <from-outside field="t" mark="([0-9a-f]{16})">/) ?? [];
      const end = `</from-outside mark="${mark}">`;
      const endsOnce = said.indexOf(end) === said.indexOf(`${end} and [u is missing in what was sent].`);
      return endsOnce && mark !== '' && !said.includes('\0') && said.isWellFormed();
    }),
  );
  const long = { t: 'x'.repeat(100_000) };
  const twenty = '{{t}}'.repeat(20);
  expect(renderInstructions(twenty, long, from(JSON.stringify(long))).length).toBeLessThan(100_000);
});

test('a delivery is wanted where each field has one of its values', () => {
  const body = { action: 'opened', issue: { draft: false, number: 7 } };
  expect(mismatch({}, body)).toBeNull();
  expect(mismatch({ action: ['opened', 'edited'], 'issue.draft': ['false'] }, body)).toBeNull();
  expect(mismatch({ 'issue.number': ['7'] }, body)).toBeNull();
  expect(mismatch({ action: ['closed'] }, body)).toBe('action is not closed');
  expect(mismatch({ issue: ['[object Object]'] }, body)).not.toBeNull();
  expect(mismatch({ nothing: ['undefined', 'null'] }, { nothing: null })).not.toBeNull();
});
