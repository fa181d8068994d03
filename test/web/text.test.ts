import { expect, test } from 'vitest';
import { exactParts } from '../../contract/exact-text.ts';
import { money, span, tokens } from '../../web/src/text/format.ts';
import { countLines, parsePatch } from '../../web/src/text/parse-patch.ts';
import { plainText } from '../../web/src/text/plain-text.ts';

const esc = String.fromCodePoint(0x1b);
const bell = String.fromCodePoint(0x07);

test('what a terminal obeys is gone, and what it says stays', () => {
  expect(plainText(`${esc}[1;31mred${esc}[0m`)).toBe('red');
  expect(plainText(`${esc}]0;a title${bell}text`)).toBe('text');
  expect(plainText(`${esc}]8;;https://evil.example${esc}\\link${esc}]8;;${esc}\\`)).toBe('link');
  expect(plainText('10 %\r50 %\r100 %\r\ndone')).toBe('100 %\ndone');
  expect(plainText('<b>[31m no sequence</b>')).toBe('<b>[31m no sequence</b>');
});

test.each([
  ['\u202e', 'RLO'],
  ['\u2066', 'LRI'],
  ['\u200b', 'ZWSP'],
  ['\ufeff', 'BOM'],
  ['\u00a0', 'NBSP'],
  ['\u3164', 'U+3164'],
  ['\u{e0041}', 'U+E0041'],
  [bell, 'U+0007'],
  ['\r', 'CR'],
  [esc, 'ESC'],
])('a character that hides is named: %j', (character, name) => {
  expect(exactParts(`a${character}b`)).toEqual([
    { text: 'a', hidden: null },
    { text: character, hidden: name },
    { text: 'b', hidden: null },
  ]);
});

test('what can be seen is left as it is', () => {
  const text = 'grüße, 你好 🙂\n\tline two';
  expect(exactParts(text)).toEqual([{ text, hidden: null }]);
});

test('a patch of many files is read line by line, with the lines that look like headers', () => {
  const patch = [
    'diff --git a/a b.txt b/a b.txt',
    '--- a/a b.txt',
    '+++ b/a b.txt',
    '@@ -1,3 +1,3 @@ context',
    ' one',
    '--- two',
    '+++ three',
    ' four',
    'diff --git a/gone.txt b/gone.txt',
    'deleted file mode 100644',
    '--- a/gone.txt',
    '+++ /dev/null',
    '@@ -1 +0,0 @@',
    '-last',
    '\\ No newline at end of file',
    'diff --git a/logo.png b/logo.png',
    'Binary files a/logo.png and b/logo.png differ',
    '',
  ].join('\n');
  const files = parsePatch(patch);
  expect(files.map(({ path, lines }) => [path, countLines(lines)])).toEqual([
    ['a b.txt', { added: 1, removed: 1 }],
    ['gone.txt', { added: 0, removed: 1 }],
    ['logo.png', { added: 0, removed: 0 }],
  ]);
  expect(files[0]?.lines.slice(1)).toEqual([
    { kind: 'context', before: 1, after: 1, text: 'one' },
    { kind: 'remove', before: 2, after: null, text: '-- two' },
    { kind: 'add', before: null, after: 2, text: '++ three' },
    { kind: 'context', before: 3, after: 3, text: 'four' },
  ]);
});

test('a patch without git headers is read as well', () => {
  const [file] = parsePatch('--- /dev/null\n+++ b/src/new.ts\n@@ -0,0 +1,2 @@\n+one\n+two\n');
  expect(file?.path).toBe('src/new.ts');
  expect(countLines(file?.lines ?? [])).toEqual({ added: 2, removed: 0 });
});

test('figures are short and true', () => {
  expect([money(0), money(1), money(4_999), money(123_456), money(14_200_000)]).toEqual([
    '$0.00',
    '< $0.01',
    '< $0.01',
    '$0.12',
    '$14.20',
  ]);
  expect([tokens(999), tokens(1_000), tokens(99_949), tokens(612_300), tokens(1_250_000)]).toEqual([
    '999',
    '1.0k',
    '99.9k',
    '612k',
    '1.3M',
  ]);
  expect([span(12), span(6_200), span(59_600), span(4_320_000), span(7_200_000)]).toEqual([
    '12 ms',
    '6.2 s',
    '1 min',
    '1 h 12 min',
    '2 h',
  ]);
});
