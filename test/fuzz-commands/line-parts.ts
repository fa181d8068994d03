import fc from 'fast-check';

/** Programs that do nothing but say that they were started. */
export const leaves = Array.from({ length: 24 }, (_, index) => `p${index}`);

export type Line = fc.Arbitrary<string>;

export const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** A line made of the texts of its parts. */
export const form = (make: (...parts: string[]) => string, ...parts: Line[]) =>
  fc.tuple(...parts).map((all) => make(...all));

export const leaf = fc.constantFrom(...leaves);
/** One name, in one of the ways in which a shell lets it be spelt. */
export const spelt: Line = fc
  .tuple(leaf, fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8))
  .map(([name, way]) => {
    const [first = '', rest = ''] = [name.slice(0, 1), name.slice(1)];
    const ways = [
      name,
      `'${name}'`,
      `"${name}"`,
      `\\${name}`,
      `${first}"${rest}"`,
      `$'\\x${first.charCodeAt(0).toString(16)}'${rest}`,
      `${first}''${rest}`,
      `${first}\\\n${rest}`,
      `$"${name}"`,
    ];
    return ways[way] ?? name;
  });
