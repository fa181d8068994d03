import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import type { ProviderSettings } from './anthropic.ts';
import type { ProviderModel, UsageTracker } from './provider-model.ts';

/** A model on one's own machine may read a long prompt for minutes before its first word. */
const quietMs = 300_000;

/** OpenAI's older chat protocol, as Groq, Ollama, vLLM and many others speak it. */
export function openOpenAICompatible(
  settings: ProviderSettings & { name: string; baseURL: string },
): (modelId: string) => ProviderModel {
  const { name, apiKey, baseURL, options } = settings;
  const provider = createOpenAICompatible({
    name,
    baseURL,
    includeUsage: true,
    ...(apiKey !== '' && { apiKey }),
    ...(settings.fetch && { fetch: settings.fetch }),
  });
  return (modelId) => ({
    model: provider.languageModel(modelId),
    trackUsage: trackChatUsage,
    ...(options && { options: { [name]: options } }),
    quietMs,
  });
}

const usageEvent = z.object({
  usage: z.object({
    prompt_tokens: z.number(),
    completion_tokens: z.number(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
  }),
});

function trackChatUsage(): UsageTracker {
  let seen: z.infer<typeof usageEvent>['usage'] | undefined;
  return {
    see(event) {
      const parsed = usageEvent.safeParse(event);
      if (parsed.success) seen = parsed.data.usage;
    },
    soFar: () =>
      seen && {
        input: seen.prompt_tokens,
        cachedInput: seen.prompt_tokens_details?.cached_tokens ?? 0,
        output: seen.completion_tokens,
      },
  };
}
