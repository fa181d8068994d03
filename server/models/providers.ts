import type { SharedV4ProviderOptions } from '@ai-sdk/provider';
import type { ProviderModel } from './provider-model.ts';
import type { Connection } from './registry.ts';

type Options = SharedV4ProviderOptions[string] | undefined;

/**
 * Opens a provider's model by its library, loaded at its first use: a server that calls one provider holds
 * the library of one.
 */
export async function openProviderModel(
  connection: Connection,
  modelId: string,
  given: { fetch: typeof fetch; options: Options },
): Promise<ProviderModel> {
  const { kind, name, baseURL, apiKey } = connection;
  const settings = { ...given, baseURL, apiKey: apiKey ?? '' };
  switch (kind) {
    case 'anthropic':
      return (await import('./anthropic.ts')).openAnthropic(settings)(modelId);
    case 'openai':
      return (await import('./openai.ts')).openOpenAI(settings)(modelId);
    case 'google':
      return (await import('./google.ts')).openGoogle(settings)(modelId);
    case 'openai-compatible':
      return (await import('./openai-compatible.ts')).openOpenAICompatible({ ...settings, name })(modelId);
  }
}
