/** Bytes `first` to `last` of a content, both included. */
export interface ByteRange {
  first: number;
  last: number;
}

/**
 * What a Range header asks for of so many bytes.
 * @returns null for the whole: no header, another unit, several ranges, or one that cannot be read;
 * `unsatisfiable` where nothing of it lies in the content
 */
export function readRange(header: string | undefined, size: number): ByteRange | null | 'unsatisfiable' {
  const match = header?.trim().match(/^bytes=(\d{0,15})-(\d{0,15})$/);
  if (!match) return null;
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return null;
  if (from === '') {
    const length = Math.min(Number(to), size);
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= size ? 'unsatisfiable' : { first, last };
}
