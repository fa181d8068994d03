import type { Word, WordPart } from 'unbash';
import { anything, hole, holes } from './segment.ts';

/** `$0`, `$1` … where a line was given them; null where only the shell knows. */
export type Params = readonly string[] | null;

/** The words that a word becomes, as the command will see them; each part that the shell computes is a hole. */
export function fieldsOf(word: Word, params: Params): string[] {
  const parts = word.parts ?? [];
  const [only] = parts.length === 1 ? parts : [];
  const quoted = only?.type === 'DoubleQuoted' && only.parts.length === 1 ? only.parts[0] : undefined;
  const name = parameterOf(quoted ?? only);
  if (params !== null && name !== null) {
    if (name === '@' || (name === '*' && quoted === undefined)) {
      return quoted === undefined ? params.slice(1).flatMap(split) : params.slice(1);
    }
    if (/^\d+$/.test(name)) {
      const value = positionalAt(params, Number(name));
      return quoted === undefined ? split(value) : [value];
    }
  }
  return [textOf(word, params)];
}

/** The word as one text. */
export function textOf(word: Word, params: Params = null): string {
  return word.parts ? word.parts.map((part) => textOfPart(part, params)).join('') : word.value;
}

function textOfPart(part: WordPart, params: Params): string {
  if (part.type === 'Literal' || part.type === 'SingleQuoted' || part.type === 'AnsiCQuoted')
    return part.value;
  if (part.type === 'DoubleQuoted' || part.type === 'LocaleString') {
    return part.parts
      .map((inner) => (inner.type === 'Literal' ? inner.value : (positionalOf(inner, params) ?? hole)))
      .join('');
  }
  return ['Glob', 'ExtendedGlob', 'BraceExpansion', 'ProcessSubstitution'].includes(part.type)
    ? holes
    : anything;
}

function positionalOf(part: WordPart, params: Params): string | null {
  const name = parameterOf(part);
  return params !== null && name !== null && /^\d+$/.test(name) ? positionalAt(params, Number(name)) : null;
}

/** What may be several words moves all that stand after it. */
function positionalAt(params: readonly string[], at: number): string {
  return params.slice(0, at + 1).some((param) => param.includes(hole)) ? anything : (params[at] ?? '');
}

/** The name in `$1`, `${1}`, `$@`; null for anything that is not just a parameter. */
function parameterOf(part: WordPart | undefined): string | null {
  if (part?.type === 'SimpleExpansion') return part.text.slice(1);
  if (part?.type !== 'ParameterExpansion') return null;
  const isPlain = part.prefix === undefined && part.index === undefined && part.operation === undefined;
  return isPlain ? part.parameter : null;
}

/** Without quotes the shell splits a value again, and looks for files in it. */
function split(value: string): string[] {
  return /[*?[\]{}\\]/.test(value) ? [anything] : value.split(/\s+/).filter((field) => field !== '');
}
