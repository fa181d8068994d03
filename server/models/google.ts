import { createGoogle } from '@ai-sdk/google';
import { z } from 'zod';
import type { ProviderSettings } from './anthropic.ts';
import type { ProviderModel, UsageTracker } from './provider-model.ts';

/** Its models may think for minutes without a word. */
const quietMs = 300_000;

/** Google's Gemini protocol. */
export function openGoogle(settings: ProviderSettings): (modelId: string) => ProviderModel {
  const { apiKey, baseURL = 'https://generativelanguage.googleapis.com/v1beta', options } = settings;
  const provider = createGoogle({ apiKey, baseURL, fetch: refuseContinuation(settings.fetch ?? fetch) });
  return (modelId) => ({
    model: provider.languageModel(modelId),
    trackUsage: trackGoogleUsage,
    ...(options && { options: { google: options } }),
    quietMs,
  });
}

/** The library may ask on for the rest of a long answer by itself; that would be a call without a reservation. */
function refuseContinuation(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    if (String(init?.body).includes('"continuationToken":')) {
      throw new TypeError('fetch failed', {
        cause: new Error('the answer is longer than one call may give'),
      });
    }
    return send(input, init);
  };
}

const usageEvent = z.object({
  usageMetadata: z.object({
    promptTokenCount: z.number().nullish(),
    cachedContentTokenCount: z.number().nullish(),
    candidatesTokenCount: z.number().nullish(),
    thoughtsTokenCount: z.number().nullish(),
  }),
});

function trackGoogleUsage(): UsageTracker {
  let seen: z.infer<typeof usageEvent>['usageMetadata'] | undefined;
  return {
    see(event) {
      const parsed = usageEvent.safeParse(event);
      if (parsed.success) seen = { ...seen, ...parsed.data.usageMetadata };
    },
    soFar: () =>
      seen && {
        input: seen.promptTokenCount ?? 0,
        cachedInput: seen.cachedContentTokenCount ?? 0,
        output: (seen.candidatesTokenCount ?? 0) + (seen.thoughtsTokenCount ?? 0),
      },
  };
}
