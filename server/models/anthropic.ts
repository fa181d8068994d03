import { createAnthropic } from '@ai-sdk/anthropic';
import { z } from 'zod';
import type { ProviderModel, UsageTracker } from './provider-model.ts';

export interface AnthropicSettings {
  apiKey: string;
  /** The API's address up to and including its version, such as `https://api.anthropic.com/v1`. */
  baseURL?: string | undefined;
  /** How requests are sent; the process's own `fetch` by default. */
  fetch?: typeof fetch;
}

export function openAnthropic(settings: AnthropicSettings): (modelId: string) => ProviderModel {
  // Always given, because the library would otherwise read both from the environment.
  const { apiKey, baseURL = 'https://api.anthropic.com/v1' } = settings;
  const provider = createAnthropic({ apiKey, baseURL, ...(settings.fetch && { fetch: settings.fetch }) });
  return (modelId) => ({ model: provider.languageModel(modelId), trackUsage: trackAnthropicUsage });
}

const tokens = z.number().int().nonnegative().nullish();
const reported = z.object({
  input_tokens: tokens,
  cache_creation_input_tokens: tokens,
  cache_read_input_tokens: tokens,
  output_tokens: tokens,
});
const usageEvent = z.union([
  z.object({ type: z.literal('message_start'), message: z.object({ usage: reported }) }),
  z.object({ type: z.literal('message_delta'), usage: reported }),
]);

function trackAnthropicUsage(): UsageTracker {
  let seen: z.infer<typeof reported> | undefined;
  return {
    see(event) {
      const parsed = usageEvent.safeParse(event);
      if (!parsed.success) return;
      const news = parsed.data.type === 'message_start' ? parsed.data.message.usage : parsed.data.usage;
      const known = Object.entries(news).filter(([, value]) => value !== null && value !== undefined);
      seen = { ...seen, ...Object.fromEntries(known) };
    },
    soFar() {
      if (!seen) return undefined;
      const cachedInput = seen.cache_read_input_tokens ?? 0;
      const input = (seen.input_tokens ?? 0) + (seen.cache_creation_input_tokens ?? 0) + cachedInput;
      return { input, cachedInput, output: seen.output_tokens ?? 0 };
    },
  };
}
