/**
 * What models, tools and repositories write may hold sequences that move the cursor, recolour the screen,
 * set the window's title or reorder what is read. Only tabs and line breaks pass.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const sequences = /\u001B(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[ -/]*[0-~])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controls = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g;

/** Safe to print; line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(sequences, '').replace(controls, '');
}

/** Safe to print, on one line, at most `width` characters. */
export function printableLine(text: string, width = Number.POSITIVE_INFINITY): string {
  const line = printable(text).replace(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(width - 1, 1))}…`;
}
