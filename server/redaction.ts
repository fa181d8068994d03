/** A secret, and the name that may be shown in its place. */
export interface NamedSecret {
  name: string;
  value: string;
}

const shortest = 8;

/**
 * Blots known secrets out of texts, in the spellings in which programs print them: as they are, escaped, in base64 and
 * in hexadecimal. The last line: nothing should ever have put one there.
 */
export class Redactor {
  #pattern: RegExp | null = null;
  #known = '';

  /** In the place of what was known before. */
  know(secrets: readonly NamedSecret[]): void {
    const values = [...new Set(secrets.map(({ value }) => value))].filter(
      (value) => value.length >= shortest,
    );
    const forms = [...new Set(values.flatMap(spellings))].sort((a, b) => b.length - a.length);
    const source = forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|');
    if (source === this.#known) return;
    this.#known = source;
    this.#pattern = source === '' ? null : new RegExp(source, 'gi');
  }

  readonly redact = (text: string): string =>
    this.#pattern === null ? text : text.replace(this.#pattern, '[secret]');
}

function spellings(value: string): string[] {
  const bytes = Buffer.from(value);
  // Within a longer text base64 begins at any of three places; its edges depend on what stands beside it.
  const encoded = [0, 1, 2].map((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return whole.slice(shift === 0 ? 0 : shift + 1, (shift + bytes.length) % 3 === 0 ? undefined : -1);
  });
  const url = encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    bytes.toString('hex'),
    ...[...encoded, ...url].filter((text) => text.length >= shortest),
  ];
}
