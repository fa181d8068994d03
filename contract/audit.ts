import { z } from 'zod';

/** A place of the log's hash chain; written `SEQUENCE:HASH`. */
export const chainPlace = z.object({
  sequence: z.number().int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ChainPlace = z.infer<typeof chainPlace>;

export const chainPlaceText = z
  .string()
  .regex(/^\d{1,15}:[0-9a-f]{64}$/, 'SEQUENCE:HASH, as `mission audit head` prints it');

/** @param text that `chainPlaceText` has passed */
export function readChainPlace(text: string): ChainPlace {
  const [sequence = '', hash = ''] = text.split(':');
  return { sequence: Number(sequence), hash };
}

export const writeChainPlace = ({ sequence, hash }: ChainPlace): string => `${sequence}:${hash}`;

/**
 * What does not hold: an event was `changed`; events were `removed` from the middle; the log was `rewritten`, so
 * that it holds in itself and not with what was written down outside; its tail was `cut` off.
 */
export const chainFault = z.object({
  kind: z.enum(['changed', 'removed', 'rewritten', 'cut']),
  /** The first event that it is about, and the last that is known to be. */
  sequence: z.number(),
  until: z.number(),
});
export type ChainFault = z.infer<typeof chainFault>;

export const chainHeadView = chainPlace.extend({
  /** To be kept elsewhere, and given to a later `mission audit verify --anchor`. */
  anchor: z.string(),
});

export const verifyQuery = z.object({
  /** Where an earlier part of the same walk ended; the log's beginning where it is not given. */
  from: chainPlaceText.optional(),
  /** A place that was written down before: the chain must have it. */
  anchor: chainPlaceText.optional(),
  limit: z.coerce.number().int().min(1).max(50_000).default(10_000),
});

export const verifyView = z.object({
  /** Up to here everything holds: the next part's `from`. */
  place: z.string(),
  sequence: z.number(),
  /** The newest event's number. */
  head: z.number(),
  /** True at the log's end, or at a fault. */
  ended: z.boolean(),
  fault: chainFault.nullable(),
  /** How many places written down outside of the database are held against it, in the whole of the walk. */
  anchors: z.number(),
});
export type VerifyView = z.infer<typeof verifyView>;
