const esc = String.fromCodePoint(0x1b);
const bell = String.fromCodePoint(0x07);
const csi = String.fromCodePoint(0x9b);

/** Control sequences, titles and links, device strings, single escapes: everything that a terminal obeys. */
const terminalSequences = new RegExp(
  [
    `${esc}\\[[0-?]*[ -/]*[@-~]`,
    `${esc}\\][^${bell}${esc}]*(?:${bell}|${esc}\\\\)?`,
    `${esc}[PX^_][^${esc}]*(?:${esc}\\\\)?`,
    `${esc}[ -/]*[0-~]`,
    `${csi}[0-?]*[ -/]*[@-~]`,
  ].join('|'),
  'g',
);

/**
 * Output of programs as a person can read it: terminal sequences are gone, a line drawn over and over shows
 * its last state. Everything else stays, as text.
 */
export function plainText(output: string): string {
  return output
    .replace(terminalSequences, '')
    .replaceAll('\r\n', '\n')
    .replace(/[^\n]*\r(?=[^\n])/g, '');
}
