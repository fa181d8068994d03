import type { z } from 'zod';
import { CommandError, exitStatus } from './exit-status.ts';

/** Options as the body that the API takes. @throws CommandError that names what is wrong */
export function parseOptions<T extends z.ZodType>(schema: T, given: unknown): z.output<T> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new CommandError(exitStatus.usage, issues.join('; '));
}
