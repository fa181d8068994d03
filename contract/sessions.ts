import { z } from 'zod';

/** The token of a one-time link, or a person's name and password. */
export const beginSessionBody = z.union([
  z.strictObject({ token: z.string().min(20).max(200) }),
  z.strictObject({ name: z.string().min(1).max(100), password: z.string().min(1).max(500) }),
]);
export type BeginSessionBody = z.infer<typeof beginSessionBody>;

export const sessionView = z.object({
  principal: z.object({ name: z.string(), role: z.enum(['admin', 'operator', 'viewer', 'agent']) }),
  /** To be sent as `x-mission-csrf` with every request that changes something. */
  csrf: z.string(),
  version: z.string(),
});
export type SessionView = z.infer<typeof sessionView>;

export const loginLink = z.object({ url: z.url(), expiresAt: z.iso.datetime() });
export type LoginLink = z.infer<typeof loginLink>;
