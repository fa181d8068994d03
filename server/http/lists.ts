import { z } from 'zod';

export const pageLimit = z.coerce.number().int().min(1).max(1_000).default(200);

export const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

export const idParams = z.object({ id: z.string() });
