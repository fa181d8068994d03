import { expect, test } from 'vitest';
import { depthOf } from './json-bodies.ts';

test('the depth of a body counts brackets, and not those in strings', () => {
  expect(depthOf('"text"')).toBe(0);
  expect(depthOf('{"a": [1, {"b": "[[[[{{{{ \\\\" }]}')).toBe(3);
  expect(depthOf('{"a": "\\"[["}')).toBe(1);
  expect(depthOf('['.repeat(100_000))).toBe(100_000);
});
