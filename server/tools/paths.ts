import { z } from 'zod';

/** `./src//a.ts` → `src/a.ts`, `` → `.`; null where it is absolute or leads out of the workspace. */
export function normalisePath(path: string): string | null {
  if (path.startsWith('/') || path.includes('\u0000')) return null;
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (names.pop() === undefined) return null;
    } else {
      names.push(name);
    }
  }
  return names.join('/') || '.';
}

/** A path as a model gives it; inside, always normalised. */
export const workspacePath = z
  .string()
  .min(1)
  .max(4_096)
  .refine((path) => normalisePath(path) !== null, {
    error: 'expected a path inside the workspace, relative to its root, such as src/main.ts',
  })
  .transform((path) => normalisePath(path) ?? '.');
