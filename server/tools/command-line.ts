import { type Command, forEachChild, parse, type SyntaxNode, type Word } from 'unbash';

/**
 * A command line taken apart for the policy. Every simple command in it, wherever it stands (after `&&`, in a
 * pipe, in `$( )`, as the argument of `bash -c`), becomes one segment: its words without quotes, one space
 * between them. What only the shell will know, such as `$X` or `*.ts`, becomes a `hole`. A line that bash
 * would not accept is one hole, since nobody knows what it is.
 */
export const hole = '\u0000';

const deepest = 5;
const wordsConsidered = 40;

/** They run the command that their arguments spell, behind options of their own. */
const wrappers = new Set(
  'builtin chroot chrt command doas env exec find flock ionice nice nohup parallel setsid stdbuf strace sudo time timeout unshare watch xargs'.split(
    ' ',
  ),
);
const shells = new Set(['ash', 'bash', 'busybox', 'dash', 'ksh', 'sh', 'zsh']);
const gitOptionsWithValue = new Set(['-C', '-c', '--git-dir', '--work-tree', '--namespace', '--config-env']);

export function segmentsOf(line: string): string[] {
  return [...new Set(read(line, 0))];
}

function read(line: string, depth: number): string[] {
  if (depth > deepest || line.includes(hole)) return [hole];
  const segments: string[] = [];
  const visit = (node: SyntaxNode) => {
    if ('errors' in node && node.errors?.length) segments.push(hole);
    if (node.type === 'Command') segments.push(...segmentsOfCommand(node, depth));
    forEachChild(node, visit);
  };
  visit(parse(line));
  return segments;
}

function segmentsOfCommand(command: Command, depth: number): string[] {
  if (!command.name) return [];
  const args = command.args.map((arg) => (arg.type === 'Word' ? textOf(arg) : arg.text));
  const words = [textOf(command.name), ...args].slice(0, wordsConsidered);
  const readsInput = command.redirects.some((redirect) => redirect.type !== 'Redirect');
  return segmentsOfWords(words, depth, readsInput);
}

function segmentsOfWords(words: string[], depth: number, readsInput: boolean): string[] {
  const segments = segmentsOfProgram(words, depth, readsInput);
  const name = nameOf(words);
  if (!wrappers.has(name)) return segments;
  const addsArguments = name === 'xargs' || name === 'parallel';
  for (let from = 1; from < words.length; from++) {
    const wrapped = addsArguments ? [...words.slice(from), hole] : words.slice(from);
    segments.push(...segmentsOfProgram(wrapped, depth, readsInput));
  }
  return segments;
}

function segmentsOfProgram(words: string[], depth: number, readsInput: boolean): string[] {
  const name = nameOf(words);
  const args = words.slice(1);
  const segments = [words.join(' '), [name, ...args].join(' ')];
  if (name === 'git') segments.push(['git', ...withoutGitOptions(args)].join(' '));
  if (name === 'eval') segments.push(...read(args.join(' '), depth + 1));
  if (shells.has(name)) segments.push(...segmentsOfShell(args, depth, readsInput));
  return segments;
}

function nameOf(words: string[]): string {
  return (words[0] ?? '').replace(/^.*\//, '');
}

/** `bash -c LINE` is its line; a shell that reads its commands from a pipe or here-document is a hole. */
function segmentsOfShell(args: string[], depth: number, readsInput: boolean): string[] {
  const option = args.findIndex((arg) => /^-[a-z]*c[a-z]*$/i.test(arg));
  if (option >= 0) return args.slice(option + 1).flatMap((arg) => read(arg, depth + 1));
  const runsFile = args.some((arg) => !arg.startsWith('-'));
  return runsFile && !readsInput ? [] : [hole];
}

function withoutGitOptions(args: string[]): string[] {
  let at = 0;
  while (at < args.length && args[at]?.startsWith('-')) at += gitOptionsWithValue.has(args[at] ?? '') ? 2 : 1;
  return args.slice(at);
}

/** The word as the command will see it; each part that the shell computes is a hole. */
function textOf(word: Word): string {
  if (!word.parts) return word.value;
  return word.parts
    .map((part) => {
      if (part.type === 'Literal' || part.type === 'SingleQuoted' || part.type === 'AnsiCQuoted') {
        return part.value;
      }
      if (part.type === 'DoubleQuoted' || part.type === 'LocaleString') {
        return part.parts.map((inner) => (inner.type === 'Literal' ? inner.value : hole)).join('');
      }
      return hole;
    })
    .join('');
}
