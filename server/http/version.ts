import { createRequire } from 'node:module';
import { z } from 'zod';

/** This Mission Control's version, as its package says. */
export function readVersion(): string {
  const manifest = createRequire(import.meta.url)('../../package.json');
  return z.object({ version: z.string() }).parse(manifest).version;
}
