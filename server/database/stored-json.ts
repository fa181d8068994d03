import { json } from './sql.ts';

/**
 * The value as it will be read from a jsonb column that `json(value)` was written to: the same characters
 * replaced, and keys in jsonb's order. It spares the way back of what was just sent, and text that is made
 * from a value is the same before a restart and after.
 */
export function asStored(value: unknown): unknown {
  const [text] = json(value).values;
  return typeof text === 'string' ? inStoredOrder(JSON.parse(text)) : null;
}

function inStoredOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inStoredOrder);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, item]) => ({ key, bytes: Buffer.from(key), item }));
  entries.sort((a, b) => a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes));
  return Object.fromEntries(entries.map(({ key, item }) => [key, inStoredOrder(item)]));
}
