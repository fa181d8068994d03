/** A piece of SQL with its values; built by the tag `sql`, so that a value can never become text. */
export interface Sql {
  readonly parts: readonly string[];
  readonly values: readonly unknown[];
}

/** SQL as a template: each `${…}` is a parameter, or another piece of SQL that is spliced in. */
export function sql(strings: TemplateStringsArray, ...inserts: unknown[]): Sql {
  const parts: string[] = [strings[0] ?? ''];
  const values: unknown[] = [];
  inserts.forEach((insert, index) => {
    const tail = strings[index + 1] ?? '';
    if (isSql(insert)) {
      const [first = '', ...rest] = insert.parts;
      parts[parts.length - 1] += first;
      parts.push(...rest);
      values.push(...insert.values);
      parts[parts.length - 1] += tail;
    } else {
      values.push(insert);
      parts.push(tail);
    }
  });
  return { parts, values };
}

/** Text that the caller wrote itself, such as a column's name; never for input. */
export const raw = (text: string): Sql => ({ parts: [text], values: [] });

export const empty: Sql = raw('');

/**
 * A value as jsonb; null and undefined are NULL. What jsonb cannot hold, NUL and half of a surrogate pair,
 * becomes the replacement character: what models and commands say must never make a row impossible.
 */
export function json(value: unknown): Sql {
  if (value === null || value === undefined) return sql`${null}::jsonb`;
  const text = JSON.stringify(value);
  // Pairs of backslashes are matched so that a backslash which is itself escaped begins nothing.
  return sql`${text.replace(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (found) => (found === '\\\\' ? found : '\ufffd'))}::jsonb`;
}

/** Pieces with a separator between them. */
export function join(pieces: readonly Sql[], separator: string): Sql {
  return pieces.reduce(
    (all, piece, index) => (index === 0 ? piece : sql`${all}${raw(separator)}${piece}`),
    empty,
  );
}

/** The statement's text with `$1`, `$2`, … */
export function textOf(query: Sql): string {
  return query.parts.reduce((text, part, index) => (index === 0 ? part : `${text}$${index}${part}`), '');
}

function isSql(value: unknown): value is Sql {
  return typeof value === 'object' && value !== null && 'parts' in value && 'values' in value;
}
