import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unifiedDiff } from './diff.ts';

test('git applies every diff, and gets the text that it was made of', () => {
  const folder = mkdtempSync(join(tmpdir(), 'diff-'));
  const line = fc.constantFrom('a\n', 'b\n', 'c\n', '\n', 'd\r\n');
  const text = fc
    .tuple(fc.array(line, { minLength: 1, maxLength: 30 }), fc.constantFrom('', 'end'))
    .map(([lines, end]) => lines.join('') + end);
  try {
    fc.assert(
      fc.property(text, text, (before, after) => {
        fc.pre(before !== after);
        writeFileSync(join(folder, 'f'), before);
        const input = unifiedDiff('f', before, after);
        execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: folder, input, stdio: 'pipe' });
        expect(readFileSync(join(folder, 'f'), 'utf8')).toBe(after);
      }),
      { numRuns: 60 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('far apart changes are hunks of their own; the script is the shortest', () => {
  const lines = Array.from({ length: 40 }, (_, index) => `${index}\n`);
  const after = lines.with(2, 'x\n').toSpliced(30, 1).join('');
  const diff = unifiedDiff('f', lines.join(''), after);
  expect(diff.match(/^@@.*@@$/gm)).toEqual(['@@ -1,6 +1,6 @@', '@@ -28,7 +28,6 @@']);
  expect(diff.match(/^[-+][^-+]/gm)).toHaveLength(3);
});

test('texts without anything in common become one hunk', () => {
  const text = (mark: string) => Array.from({ length: 20_000 }, (_, index) => `${mark}${index}\n`).join('');
  expect(unifiedDiff('f', text('a'), text('b'))).toContain('@@ -1,20000 +1,20000 @@');
});
