import { z } from 'zod';
import { budgetScope, budgetView } from './runs.ts';

/** A budget in a list, with what a person calls that which it is of. */
export const budgetRecord = budgetView.extend({
  id: z.string(),
  /** The task's title, the agent's or project's name, the day. */
  name: z.string(),
});
export type BudgetRecord = z.infer<typeof budgetRecord>;

export const budgetParams = z.object({
  scope: budgetScope,
  /** An id; for an agent or a project also its name, for a day also `today`, for an agent's day `NAME/today`. */
  key: z.string().min(1).max(500),
});

/** What may be spent; what is left out stays as it is, and null takes that limit away. */
export const setBudgetBody = z
  .strictObject({
    /** US dollars. */
    usd: z.number().min(0).max(1_000_000).nullable().optional(),
    tokens: z.number().int().min(0).max(1_000_000_000_000).nullable().optional(),
  })
  .refine((body) => body.usd !== undefined || body.tokens !== undefined, 'give usd, tokens or both');
export type SetBudgetBody = z.infer<typeof setBudgetBody>;

export const budgetFilter = z.object({
  scope: budgetScope.optional(),
  /** Only budgets that have a limit; `false` for all that ever spent something. */
  limited: z
    .enum(['true', 'false'])
    .default('true')
    .transform((text) => text === 'true'),
});
