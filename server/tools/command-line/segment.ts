/** What only the shell will know, such as `$X` or `*.ts`, in the place of a text. */
export const hole = '\u0000';
/** One that may become several words, as `*` and `{a,b}` do. */
export const holes = hole.repeat(2);
/** One that may become any words, options too, as `$X` without quotes. */
export const anything = hole.repeat(3);

/** Whether an argument could be several, so that those after it stand elsewhere. */
export function mayBeWords(arg: string): boolean {
  return arg.includes(holes);
}

/** Whether an argument could become an option that nobody wrote. */
export function mayBeOptions(arg: string): boolean {
  return arg.startsWith(hole) || arg.includes(anything);
}

/** Something in a command that runs or writes by itself. */
export interface Flag {
  /** A wildcard covers it only where the pattern spells this; null: no wildcard does. */
  spell: string | null;
  reason: string;
}

/** One simple command, wherever it stands in a line: its words without quotes, one space between them. */
export interface Segment {
  text: string;
  /** As `text`, but a word that holds blanks is quoted, so that it is not taken for several. */
  exact: string;
  /** It stands inside a wrapper, or in a line that a shell is given. */
  inner: boolean;
  /** Another spelling, or a wrapper that is judged by what it wraps: denials look at it, allowances need not. */
  shadow: boolean;
  flags: readonly Flag[];
}

export interface CommandLine {
  segments: Segment[];
  /** Paths that redirections, and some programs by their arguments, write to. */
  writes: string[];
  /** What the shell itself opens for its commands. */
  redirects: { path: string; writes: boolean }[];
  /** Why it is not known what the line runs; empty where it is. */
  doubts: string[];
}

/** What a program makes of its arguments, as far as it starts others. */
export interface Unwrapped {
  /** Commands that it starts. */
  commands?: string[][];
  /** What it may start, among other readings: looked at by denials alone. */
  perhaps?: string[][];
  /** Lines that a shell reads, with the shell and `$0`, `$1` … */
  lines?: { text: string; shell: string; params: string[] | null }[];
  /** True where it does nothing but start these. */
  transparent?: boolean;
  /** The words by which it is judged, where some of its own mean nothing. */
  plain?: string[];
  /** Variables that it sets for what it starts. */
  variables?: string[];
  flags?: Flag[];
  doubts?: string[];
  writes?: string[];
}

export function nameOf(word: string): string {
  return word.replace(/^.*\//s, '');
}

export function exactText(words: readonly string[]): string {
  return words
    .map((word) => (word === '' || /[\s'"]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : word))
    .join(' ');
}

export function showHoles(text: string): string {
  return text.split(hole).join('…').replace(/…+/g, '…');
}

/** A text for a person: holes as an ellipsis, cut. */
export function showWords(words: readonly string[]): string {
  const text = showHoles(exactText(words));
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
