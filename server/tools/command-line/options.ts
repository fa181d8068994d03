import { hole, mayBeWords } from './segment.ts';

/** How a program reads its options, as far as needed to find where its operands begin. */
export interface OptionShape {
  /** Letters of options with a value of their own, such as `n` in `nice -n 5`. */
  valued?: string;
  /** Letters of options without one. */
  plain?: string;
  /** Long options; those that take a value as a word of its own end in `=`. */
  long?: string[];
  /** `-5`, as `nice` takes it. */
  numbers?: boolean;
}

/** The index of the first operand; null where an option is not known, so that the rest is not either. */
export function skipOptions(args: readonly string[], shape: OptionShape): number | null {
  const { valued = '', plain = '', long = [], numbers = false } = shape;
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') return at + 1;
    if (!arg.startsWith('-') || arg === '-') {
      return arg.startsWith(hole) ? null : at;
    }
    if (mayBeWords(arg) || (arg.includes(hole) && !arg.includes('='))) return null;
    if (numbers && /^--?\d+$/.test(arg)) continue;
    if (arg.startsWith('--')) {
      const [name = '', value] = arg.slice(2).split('=', 2);
      const known = long.filter((option) => option.replace('=', '').startsWith(name));
      const [option] = known.filter((one) => one.replace('=', '') === name).concat(known);
      if (option === undefined) return null;
      if (option.endsWith('=') && value === undefined && mayBeWords(args[++at] ?? '')) return null;
      continue;
    }
    for (let letter = 1; letter < arg.length; letter++) {
      const char = arg.charAt(letter);
      if (valued.includes(char)) {
        if (letter === arg.length - 1 && mayBeWords(args[++at] ?? '')) return null;
        break;
      }
      if (!plain.includes(char)) return null;
    }
  }
  return at;
}

/** Whether an argument is one of these long options, also shortened, with a value or not. */
export function isLongOption(arg: string, names: readonly string[], shortest = 2): string | null {
  if (!arg.startsWith('--')) return null;
  const given = arg.slice(2).split('=', 1)[0] ?? '';
  return given.length < shortest ? null : (names.find((name) => name.startsWith(given)) ?? null);
}

/** The value of an option that is written `--name=value` or `--name value`. */
export function valueAfter(args: readonly string[], index: number): string {
  const arg = args[index] ?? '';
  const equals = arg.indexOf('=');
  return arg.startsWith('--') && equals >= 0 ? arg.slice(equals + 1) : (args[index + 1] ?? '');
}
