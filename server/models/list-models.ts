import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Connection } from './registry.ts';

const limitMs = 4_000;
const freshMs = 300_000;
/** A provider that does not answer is not waited for by everybody who looks. */
const failedMs = 30_000;
const most = 500;

const listed = z.object({ id: z.string().min(1) });
const modelList = z.union([
  z.object({ data: z.array(listed).max(5_000) }).transform(({ data }) => data.map(({ id }) => id)),
  z
    .object({
      models: z.array(
        z.object({ name: z.string(), supportedGenerationMethods: z.array(z.string()).optional() }),
      ),
    })
    .transform(({ models }) =>
      models
        .filter(({ supportedGenerationMethods: methods }) => methods?.includes('generateContent') ?? true)
        .map(({ name }) => name.replace(/^models\//, '')),
    ),
]);

/** Asks providers which models they have: names for a person to choose from. What fails is left out. */
export function openModelLists(options: { fetch: typeof fetch; log: Logger; now: () => number }) {
  const known = new Map<string, { names: string[]; until: number }>();
  return async (connection: Connection): Promise<string[]> => {
    const key = JSON.stringify([connection.name, connection.baseURL, connection.apiKey]);
    const found = known.get(key);
    if (found && options.now() < found.until) return found.names;
    try {
      const names = await askForModels(connection, options.fetch);
      known.set(key, { names, until: options.now() + freshMs });
      return names;
    } catch (error) {
      options.log.debug({ provider: connection.name, error: messageOf(error) }, 'models cannot be listed');
      known.set(key, { names: [], until: options.now() + failedMs });
      return [];
    }
  };
}

async function askForModels(connection: Connection, send: typeof fetch): Promise<string[]> {
  const response = await send(`${connection.baseURL}/models`, {
    headers: { accept: 'application/json', ...keyHeaders(connection) },
    signal: AbortSignal.timeout(limitMs),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return modelList
    .parse(await response.json())
    .slice(0, most)
    .filter((name) => !/\s/.test(name));
}

function keyHeaders({ kind, apiKey }: Connection): Record<string, string> {
  if (apiKey === null) return {};
  if (kind === 'anthropic') return { 'x-api-key': apiKey, 'anthropic-version': '2023-06-01' };
  if (kind === 'google') return { 'x-goog-api-key': apiKey };
  return { authorization: `Bearer ${apiKey}` };
}
