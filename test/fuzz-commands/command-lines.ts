import fc from 'fast-check';
import { blocks, documents, substitutions } from './compound-lines.ts';
import { form, type Line, quote, spelt } from './line-parts.ts';
import { runningFlags, unknowable } from './unusual-lines.ts';

/** Programs that say so and then do what the real ones do: start others. */
export const starters =
  'bash dash env find git nice nohup setsid sh sort stdbuf tar timeout xargs awk sed'.split(' ');

const plainArgument = fc.constantFrom(
  'a',
  '-x',
  '--long=1',
  "'a;b'",
  '"a && p1"',
  "'$(p1)'",
  '\\;',
  '\\$x',
  '*',
  '~',
  '{a,b}',
  '"$x"',
  '$x',
  `\${x}`,
  `\${x:-y}`,
  `\${#x}`,
  '"$@"',
  '$IFS',
  "$'a\\'b'",
  '#c',
  'a#b',
  '""',
  '2>&1',
  '>/dev/null',
  '>out',
  '<in',
  '&>out',
  'x=1',
  '!',
  '[a]',
  '$((1+2))',
  `\${x@Q}`,
  '$[1+1]',
);

const wrappers = fc.constantFrom(
  'env',
  'env A=1',
  'env -i',
  'env -u A',
  'env -',
  'timeout 5',
  'timeout -s KILL 5',
  'timeout -k 1 5',
  'nice',
  'nice -n 3',
  'nice -5',
  'nohup',
  'setsid',
  'setsid -w',
  'stdbuf -oL',
  'stdbuf -o L',
  'command',
  'command -p',
  'exec',
  'exec -a z',
  'time',
  'time -p',
  '!',
  'builtin command',
  'xargs',
  'xargs -n 1',
  'xargs -I{}',
  '\\command',
  "'env'",
  'A=1',
  'A=$(p2)',
  'env -- ',
  'xargs -r -0',
  '2>/dev/null',
  '>o',
  'coproc',
  'env A=1 B=2 timeout 4',
);

const shellStarts = fc.constantFrom(
  'sh -c',
  'bash -c',
  'dash -c',
  'bash -ec',
  'sh -e -c',
  'bash -c -e',
  'eval',
  'bash -O extglob -c',
  'env sh -c',
  'timeout 3 bash -c',
  'bash --norc -c',
  'bash +e -c',
  'exec bash -c',
  'eval --',
  'bash -c --',
);

const positionalLines = fc.constantFrom('sh -c', 'bash -c', 'dash -c');

const { line: commandLine } = fc.letrec<{ line: string; command: string; argument: string }>((tie) => {
  const line = tie('line');
  const command = tie('command');
  const argument = tie('argument');
  const words = fc.array(argument, { maxLength: 2 }).map((all) => all.map((word) => ` ${word}`).join(''));
  const simple = form((name, rest) => `${name}${rest}`, spelt, words);
  const wrapped = form((wrapper, inner) => `${wrapper} ${inner}`, wrappers, simple);
  const shells = form(
    (shell, inner, rest) => `${shell} ${quote(inner)}${rest}`,
    shellStarts,
    line,
    fc.constantFrom('', '', ' a b', ' p3 x'),
  );
  const positional = form(
    (shell, inner, name, rest) => `${shell} ${quote(inner)} ${name}${rest}`,
    positionalLines,
    fc.constantFrom(
      '$0 "$@"',
      '"$0"',
      '"$@"',
      '$1',
      '$*',
      '"$1" x',
      'shift; "$@"',
      'set -- p9; "$@"',
      `\${0}`,
      `\${1} b`,
      `"\${@:1}"`,
      'f() { "$@"; }; f p8',
      '$2',
      '"$0$1"',
    ),
    spelt,
    words,
  );
  return {
    argument: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      plainArgument,
      spelt,
      substitutions(line, simple),
    ),
    command: fc.oneof(
      { depthSize: 'small' },
      { weight: 6, arbitrary: simple },
      { weight: 4, arbitrary: wrapped },
      { weight: 2, arbitrary: shells },
      { weight: 2, arbitrary: positional },
      { weight: 3, arbitrary: blocks(line, simple, words) },
      { weight: 2, arbitrary: unknowable },
      { weight: 2, arbitrary: runningFlags },
      { weight: 1, arbitrary: documents(simple) },
    ),
    line: fc.oneof(
      { depthSize: 'small' },
      { weight: 3, arbitrary: command },
      {
        weight: 3,
        arbitrary: form(
          (a, operator, b) => `${a}${operator}${b}`,
          command,
          fc.constantFrom(' && ', ' || ', '; ', ' | ', ' & ', '\n', ' |& ', '&&', ';', '|', ' \\\n&& '),
          line,
        ),
      },
    ),
  };
});

const noise = fc.array(
  fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom(
      '',
      "'",
      '"',
      '`',
      '$',
      '(',
      ')',
      '{',
      '}',
      '[',
      ']',
      ';',
      '&',
      '|',
      '<',
      '>',
      '\\',
      ' ',
      '\n',
      '#',
      '!',
      '*',
      '$(',
      '${',
      '((',
      '<<E\n',
      "$'",
      '\t',
      '=',
      '\r',
      '\u00a0',
    ),
  ),
  { maxLength: 3 },
);

/** A command line: two of three well formed, one with a few characters put in or left out. */
export const anyCommandLine: Line = fc
  .tuple(commandLine, fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: noise }))
  .map(([text, changes]) =>
    changes.reduce((changed, [where, what]) => {
      const at = Math.floor(where * changed.length);
      return changed.slice(0, at) + what + changed.slice(what === '' ? at + 1 : at);
    }, text),
  )
  .filter((text) => text.length < 4_000 && !text.endsWith('\n'));
