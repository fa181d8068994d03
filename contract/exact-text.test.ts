import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exactParts, showExact } from './exact-text.ts';

test.each([
  ['git push', 'git push'],
  ['"git " push', '"git " push'],
  ['git push ', 'git push⟦SPACE⟧'],
  ['a\u202Eb\u202C', 'a⟦RLO⟧b⟦PDF⟧'],
  ['a\u200Bb\uFEFF', 'a⟦ZWSP⟧b⟦BOM⟧'],
  ['\u001B[2Kls\r', '⟦ESC⟧[2Kls⟦CR⟧'],
  ['one\n\ttwo', 'one\n\ttwo'],
  ['⟦RLO⟧', '⟦U+27E6⟧RLO⟦U+27E7⟧'],
  ['\u{E0041}x', '⟦U+E0041⟧x'],
])('%j is shown as %s', (text, shown) => {
  expect(showExact(text)).toBe(shown);
});

test('no two texts are shown alike, and nothing is left out', () => {
  const pieces = fc.constantFrom(
    'a',
    ' ',
    '\n',
    '\u202E',
    '\u200B',
    '⟦',
    '⟧',
    'RLO',
    'U+27E6',
    'SPACE',
    '\t',
    '\u001B',
  );
  const text = fc.array(pieces, { maxLength: 6 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(
        exactParts(a)
          .map((part) => part.text)
          .join(''),
      ).toBe(a);
      expect(showExact(a) === showExact(b)).toBe(a === b);
    }),
    { numRuns: 3_000 },
  );
});
