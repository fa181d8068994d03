import { z } from 'zod';
import type { Client } from './client.ts';
import { CommandError, exitStatus } from './exit-status.ts';

const lists = {
  run: { prefix: 'run', path: '/runs' },
  task: { prefix: 'task', path: '/tasks' },
  ask: { prefix: 'ask', path: '/asks' },
  change: { prefix: 'chg', path: '/changes' },
  key: { prefix: 'key', path: '/keys' },
} as const;
export type Noun = keyof typeof lists;

/** The full identifier of what was typed: itself, or the one that ends with it. */
export async function resolveId(client: Client, noun: Noun, given: string): Promise<string> {
  const { prefix, path } = lists[noun];
  if (new RegExp(`^${prefix}_[0-9a-z]{17}$`).test(given)) return given;
  const items = await client.list(path, z.object({ id: z.string() }));
  return pickBySuffix(
    items.map(({ id }) => id),
    given,
    noun,
  );
}

/** @throws CommandError where none or several end so, or too little was typed */
export function pickBySuffix(ids: string[], given: string, noun: Noun): string {
  if (given.length < 4) {
    throw new CommandError(
      exitStatus.usage,
      `"${given}" is too short for a ${noun}; type at least its last 4 characters`,
    );
  }
  const found = ids.filter((id) => id.endsWith(given));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  if (found.length > 1) {
    throw new CommandError(exitStatus.usage, `"${given}" may be any of ${found.join(', ')}; type more of it`);
  }
  throw new CommandError(exitStatus.refused, `There is no ${noun} "${given}". See: mission status`, {
    code: 'not_found',
  });
}
