import { createAnthropic } from '@ai-sdk/anthropic';
import type { LanguageModelV4Message, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { z } from 'zod';
import type { Prompt, ProviderModel, UsageTracker } from './provider-model.ts';

export interface ProviderSettings {
  /** Empty for a server that asks for none. */
  apiKey: string;
  /** The API's address up to and including its version, such as `https://api.anthropic.com/v1`. */
  baseURL?: string | undefined;
  /** How requests are sent; the process's own `fetch` by default. */
  fetch?: typeof fetch;
  /** What a person set for the model, in the provider's own words. */
  options?: SharedV4ProviderOptions[string] | undefined;
}

export function openAnthropic(settings: ProviderSettings): (modelId: string) => ProviderModel {
  // Always given, because the library would otherwise read both from the environment.
  const { apiKey, baseURL = 'https://api.anthropic.com/v1', options } = settings;
  const provider = createAnthropic({ apiKey, baseURL, ...(settings.fetch && { fetch: settings.fetch }) });
  return (modelId) => ({
    model: provider.languageModel(modelId),
    trackUsage: trackAnthropicUsage,
    markCacheable,
    ...(options && { options: { anthropic: options }, addedOutputTokens: thinkingTokens(options) }),
  });
}

const thinking = z.object({
  thinking: z.object({ type: z.literal('enabled'), budgetTokens: z.number().int().default(1_024) }),
});

/** The library adds the thinking budget to the limit of the answer. */
function thinkingTokens(options: ProviderSettings['options']): number {
  const parsed = thinking.safeParse(options);
  return parsed.success ? parsed.data.thinking.budgetTokens : 0;
}

const cached: { providerOptions: SharedV4ProviderOptions } = {
  providerOptions: { anthropic: { cacheControl: { type: 'ephemeral' } } },
};

/**
 * Four places end what the provider keeps, as many as it allows: the tools, the system prompt, and what was
 * said before the last answer and after it. The one before is marked again because the provider looks back
 * over twenty blocks only, and one turn can hold more.
 */
function markCacheable({ prompt, tools }: Prompt): Prompt {
  const lastAnswer = prompt.findLastIndex((message) => message.role === 'assistant');
  const ends = new Set([prompt.length - 1, lastAnswer - 1]);
  const mark = (message: LanguageModelV4Message, at: number) =>
    message.role === 'system' || ends.has(at) ? { ...message, ...cached } : message;
  return {
    prompt: prompt.map(mark),
    tools: tools.map((tool, at) => (at === tools.length - 1 ? { ...tool, ...cached } : tool)),
  };
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
      const cacheWrite = seen.cache_creation_input_tokens ?? 0;
      const input = (seen.input_tokens ?? 0) + cacheWrite + cachedInput;
      return { input, cachedInput, ...(cacheWrite > 0 && { cacheWrite }), output: seen.output_tokens ?? 0 };
    },
  };
}
