import type { SyntaxNode, Word } from 'unbash';
import { textOf } from './words.ts';

/** Bash's own numbers. */
const numbers = new Set(
  'RANDOM SECONDS LINENO EPOCHSECONDS PPID UID EUID BASHPID SHLVL COLUMNS LINES OPTIND'.split(' '),
);
const arithmeticTests = new Set(['-eq', '-ne', '-lt', '-le', '-gt', '-ge']);

/**
 * Variables that an expansion or an expression sets in passing. Where bash reads a variable's value as an
 * expression, `a[$(x)]` in the value starts x; so it matters whether the value is a number.
 */
export function assignedBy(node: SyntaxNode): { name: string; numeric: boolean }[] {
  if (node.type === 'ParameterExpansion' && node.operation?.type === 'Default') {
    const { operator, operand } = node.operation;
    return operator.includes('=') ? [{ name: node.parameter, numeric: isNumber(operand) }] : [];
  }
  if (node.type === 'ArithmeticBinary' && node.left.type === 'ArithmeticWord') {
    const sets = node.operator.endsWith('=') && !['==', '!=', '<=', '>='].includes(node.operator);
    return sets ? [{ name: node.left.value.replace(/\[.*$/s, ''), numeric: true }] : [];
  }
  return [];
}

/** Whether the node itself reads the value of one of these variables as an expression, or as a name. */
export function mayBeReadAgain(node: SyntaxNode, valued: ReadonlySet<string>): boolean {
  const touches = (text: string) => mentionsValued(text, valued);
  switch (node.type) {
    // With brackets that do not pair, as in `$((… case x in x) …))`, bash reads commands instead.
    case 'ArithmeticExpansion':
      return !pairs(node.text);
    case 'ArithmeticCommand':
      return !pairs(node.body);
    case 'ArithmeticWord':
      return touches(node.value) || /[`]|\$\(/.test(node.parts === undefined ? node.value : '');
    case 'ParameterExpansion': {
      const { operation, prefix, index } = node;
      const listsKeys = index !== undefined && /^[@*]$/.test(index.value);
      if (prefix === '!' && operation?.type !== 'Names' && !listsKeys) return true;
      if (operation?.type === 'Unknown') return true;
      if (operation?.type === 'Transform' && !/^[AQEULKaku]$/.test(operation.operand?.value ?? 'P'))
        return true;
      if (index !== undefined && !listsKeys && touches(index.text)) return true;
      return (
        operation?.type === 'Slice' && touches(`${operation.offset.text} ${operation.length?.text ?? ''}`)
      );
    }
    case 'Assignment':
      return node.index !== undefined && touches(node.index.text);
    case 'TestBinary':
      return (
        arithmeticTests.has(node.operator) &&
        [node.left, node.right].some((word) => isReadAgain(word, touches))
      );
    case 'TestUnary':
      return (
        ['-v', '-R'].includes(node.operator) && (/[[]/.test(textOf(node.operand)) || !isName(node.operand))
      );
    default:
      return false;
  }
}

function isReadAgain(word: Word, touches: (text: string) => boolean): boolean {
  return touches(word.text) || /[[]/.test(word.value);
}

function isName(word: Word): boolean {
  return word.parts === undefined && /^\w+$/.test(word.value);
}

/** A word that is a number, or a row of them, whatever it is used for. */
export function isNumber(word: Word): boolean {
  if (word.parts?.length === 1 && word.parts[0]?.type === 'ArithmeticExpansion') return true;
  return /^(-?\d*|\{\d+\.\.\d+\})$/.test(word.text);
}

/** `$1` and `$@` hold what the line was given, `$?` and `$#` numbers. */
function mentionsValued(text: string, valued: ReadonlySet<string>): boolean {
  if (/\$[1-9@*_]|\$\{[1-9@*_]/.test(text)) return true;
  const names = text.match(/[A-Za-z_]\w*/g) ?? [];
  return names.some((name) => !numbers.has(name) && (valued.has('*') || valued.has(name)));
}

function pairs(text: string): boolean {
  let open = 0;
  for (const char of text) {
    if (char === '(') open++;
    if (char === ')' && --open < 0) return false;
  }
  return open === 0 && !/<<[\s\S]*\n/.test(text);
}
