import { z } from 'zod';

export const providerKinds = ['anthropic', 'openai', 'google', 'openai-compatible'] as const;
/** Which protocol a provider speaks. */
export const providerKind = z.enum(providerKinds);
export type ProviderKind = z.infer<typeof providerKind>;

/** A provider's name is what stands before the slash of its models. */
export const providerName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,39}$/,
    'a provider’s name is lower-case letters, digits and dashes, such as groq or my-vllm',
  )
  .refine((name) => name !== 'recorded', 'recorded is the name of the recordings');

/** `provider/name`; the name may hold slashes of its own. */
export const modelName = z
  .string()
  .max(200)
  .regex(
    /^[a-z][a-z0-9-]{0,39}\/\S+$/,
    'a model is named provider/name, such as groq/llama-3.3-70b-versatile',
  );

const dollars = z.number().nonnegative().max(1_000_000);

/** US dollars for a million tokens, as providers publish them. */
export const listedPrice = z.strictObject({
  input: dollars,
  cachedInput: dollars,
  /** Input that is written to the provider's cache; where absent, what the provider's kind is known to ask. */
  cacheWrite: dollars.optional(),
  output: dollars,
});
export type ListedPrice = z.infer<typeof listedPrice>;

/** A price as a person gives it; `asOf` is the day it was looked up, today where it is left out. */
export const putPriceBody = listedPrice.extend({
  cachedInput: dollars.optional(),
  asOf: z.iso.date().optional(),
  contextTokens: z.number().int().positive().optional(),
  maxOutputTokens: z.number().int().positive().optional(),
});
export type PutPriceBody = z.infer<typeof putPriceBody>;

export const modelView = z.object({
  model: z.string(),
  provider: z.string(),
  /** True where answers are replayed; to be said wherever the model is shown. */
  recording: z.boolean(),
  contextTokens: z.number(),
  maxOutputTokens: z.number(),
  /** Null where nobody has said what it costs: it cannot be used before. */
  price: listedPrice.nullable(),
  /** The day the price was looked up. */
  priceAsOf: z.string().nullable(),
  /** Where the model is known from: a price list, the provider's own list, or a recording. */
  source: z.enum(['listed', 'provider', 'recording']),
});
export type ModelView = z.infer<typeof modelView>;

export const providerView = z.object({
  name: z.string(),
  kind: providerKind,
  baseUrl: z.string(),
  /** It has what it needs to be called: an address, and a key where its kind needs one. */
  connected: z.boolean(),
  keyFrom: z.enum(['environment', 'vault']).nullable(),
  requestsPerMinute: z.number().nullable(),
  /** What is wrong with it, such as a key that cannot be unsealed. */
  problem: z.string().nullable(),
});
export type ProviderView = z.infer<typeof providerView>;

export const modelsView = z.object({ models: z.array(modelView), providers: z.array(providerView) });
export type ModelsView = z.infer<typeof modelsView>;

/** What is left out stays as it is; null takes it away. */
export const putProviderBody = z.strictObject({
  kind: providerKind,
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
  /** Sealed in the vault; no answer ever holds it. */
  apiKey: z.string().trim().min(1).max(10_000).nullable().optional(),
  requestsPerMinute: z.number().int().min(1).max(1_000_000).nullable().optional(),
});
export type PutProviderBody = z.infer<typeof putProviderBody>;

export const testModelBody = z.strictObject({ model: modelName });
/** What a short real call came to; `message` says what to do where it failed. */
export const testedModel = z.object({ ok: z.boolean(), milliseconds: z.number(), message: z.string() });
export type TestedModel = z.infer<typeof testedModel>;

const defaultBaseUrls: Record<ProviderKind, string | null> = {
  anthropic: 'https://api.anthropic.com/v1',
  openai: 'https://api.openai.com/v1',
  google: 'https://generativelanguage.googleapis.com/v1beta',
  'openai-compatible': null,
};

/** The address of a kind's own service; null where there is none. */
export function defaultBaseUrl(kind: ProviderKind): string | null {
  return defaultBaseUrls[kind];
}

/** A bare origin gets the version that its kind's paths begin with; a trailing slash goes. */
export function normalizeBaseUrl(kind: ProviderKind, url: string): string {
  const trimmed = url.trim().replace(/\/+$/, '');
  const bare = new URL(trimmed).pathname === '/';
  return bare ? `${trimmed}/${kind === 'google' ? 'v1beta' : 'v1'}` : trimmed;
}
