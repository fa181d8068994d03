import { z } from 'zod';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * One operation of the API, as clients call it and as the reference tells it. `answer` is the schema of the
 * answer's body; `nothing` where it has none, `content` where it is bytes that are read as they come.
 */
export interface EndpointSpec {
  method: Method;
  /** Below `/api/v1`, with `{id}` for its parameters. */
  path: `/${string}`;
  tag: string;
  summary: string;
  description?: string;
  query?: z.ZodType;
  body?: z.ZodType;
  /** The body is bytes that go out as they are. */
  sends?: 'bytes';
  answer: z.ZodType | 'nothing' | 'content';
}

/** Keeps the literal types, so that a client's methods can be made of them. */
export function defineEndpoints<const E extends Record<string, EndpointSpec>>(endpoints: E): E {
  return endpoints;
}

export const items = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

/** One page, newest first; `nextCursor` is null on the last. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** What every paged list takes. */
export const pageFilter = { cursor: z.string().optional(), limit: z.number().int().optional() };
