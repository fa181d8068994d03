import { createOpenAI } from '@ai-sdk/openai';
import { z } from 'zod';
import type { ProviderSettings } from './anthropic.ts';
import type { ProviderModel, UsageTracker } from './provider-model.ts';

/** Its models may reason for minutes without a word. */
const quietMs = 300_000;

/** OpenAI's Responses protocol. */
export function openOpenAI(settings: ProviderSettings): (modelId: string) => ProviderModel {
  const { apiKey, baseURL = 'https://api.openai.com/v1', options } = settings;
  const provider = createOpenAI({ apiKey, baseURL, ...(settings.fetch && { fetch: settings.fetch }) });
  return (modelId) => ({
    model: provider.responses(modelId),
    trackUsage: trackOpenAIUsage,
    // Nothing is left at the provider: reasoning comes back sealed, and stands in our journal.
    options: { openai: { store: false, ...options } },
    quietMs,
  });
}

const usageEvent = z.object({
  response: z.object({
    usage: z.object({
      input_tokens: z.number(),
      output_tokens: z.number(),
      input_tokens_details: z
        .object({ cached_tokens: z.number().nullish(), cache_write_tokens: z.number().nullish() })
        .nullish(),
    }),
  }),
});

function trackOpenAIUsage(): UsageTracker {
  let seen: z.infer<typeof usageEvent>['response']['usage'] | undefined;
  return {
    see(event) {
      const parsed = usageEvent.safeParse(event);
      if (parsed.success) seen = parsed.data.response.usage;
    },
    soFar() {
      if (!seen) return undefined;
      const cacheWrite = seen.input_tokens_details?.cache_write_tokens ?? 0;
      return {
        input: seen.input_tokens,
        cachedInput: seen.input_tokens_details?.cached_tokens ?? 0,
        ...(cacheWrite > 0 && { cacheWrite }),
        output: seen.output_tokens,
      };
    },
  };
}
