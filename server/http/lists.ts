import { z } from 'zod';
import { AppError } from '../errors.ts';

export const pageLimit = z.coerce.number().int().min(1).max(1_000).default(200);

/** A list that comes whole. */
export const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

/** One page of a list, newest first; `nextCursor` is null on the last. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** What every paged list takes: the `nextCursor` of the page before, and how many items. */
export const pageQuery = { cursor: z.string().max(200).optional(), limit: pageLimit };

export const idParams = z.object({ id: z.string() });

/** What a use case is to read of a list: items whose identifier is below `before`, the highest first. */
export interface Page {
  before?: string | undefined;
  limit: number;
}

/**
 * Reads one page. The cursor is the identifier of the last item that was given: identifiers never change and are
 * ordered, so that no row is skipped or repeated while others are inserted.
 * @throws AppError invalid_request for a cursor that this server did not give
 */
export async function readPage<Item extends { id: string }>(
  query: { cursor?: string | undefined; limit: number },
  read: (page: Page) => Promise<Item[]>,
): Promise<{ items: Item[]; nextCursor: string | null }> {
  const before = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  // One more than is given tells whether there is a next page.
  const rows = await read({ before, limit: query.limit + 1 });
  const items = rows.slice(0, query.limit);
  const last = rows.length > query.limit ? items.at(-1) : undefined;
  return { items, nextCursor: last === undefined ? null : encodeCursor(last.id) };
}

function encodeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (/^[a-z]{2,10}_[0-9a-z_]{1,60}$/.test(id)) return id;
  throw new AppError('invalid_request', 'cursor: send the nextCursor of the page before, as it was given');
}

/** Of PostgreSQL's `integer`: what a number in an address can be at most where it names or follows one. */
export const largestInteger = 2_147_483_647;
