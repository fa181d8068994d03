import { z } from 'zod';
import { permissions, roles } from './permissions.ts';

export const principalKinds = ['human', 'service', 'agent'] as const;

/** What stands in the log as who did it: plain and without a space. */
export const principalName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/, 'takes letters, digits and . _ @ -, 63 at most');

const projectIds = z.array(z.string().min(1).max(100)).max(1_000);

export const principalView = z.object({
  id: z.string(),
  kind: z.enum(principalKinds),
  name: z.string(),
  role: z.enum(roles),
  /** The ids of the projects that it sees; null: all of them. */
  projects: z.array(z.string()).nullable(),
  disabled: z.boolean(),
  /** It can log in to the dashboard by a password, besides the one-time link. */
  hasPassword: z.boolean(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type PrincipalView = z.infer<typeof principalView>;

/** An agent's role is `agent`, and only an agent's is. */
export const createPrincipalBody = z.strictObject({
  kind: z.enum(principalKinds),
  name: principalName,
  role: z.enum(roles),
  projects: projectIds.nullable().default(null),
});
export type CreatePrincipalBody = z.infer<typeof createPrincipalBody>;

export const updatePrincipalBody = z
  .strictObject({
    role: z.enum(roles).optional(),
    projects: projectIds.nullable().optional(),
    /** A disabled principal's keys and sessions hold no longer. */
    disabled: z.boolean().optional(),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), 'names nothing to change');
export type UpdatePrincipalBody = z.infer<typeof updatePrincipalBody>;

export const keyView = z.object({
  id: z.string(),
  principal: z.object({ id: z.string(), name: z.string(), role: z.enum(roles) }),
  label: z.string(),
  /** Null: all that the role of its principal has. */
  scopes: z.array(z.string()).nullable(),
  /** Null: all projects that its principal sees. */
  projects: z.array(z.string()).nullable(),
  createdBy: z.string().nullable(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  /** To the minute. */
  lastUsedAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});
export type KeyView = z.infer<typeof keyView>;

const oneYearOfSeconds = 366 * 24 * 3_600;

/**
 * A key for oneself; for another principal, by id or name; or, with `role`, for a new service of this name. Never
 * with more than the one who makes it has.
 */
export const createKeyBody = z
  .strictObject({
    principal: z.string().min(1).max(100).optional(),
    role: z.enum(roles).exclude(['agent']).optional(),
    name: principalName.optional(),
    label: z.string().trim().min(1).max(100).optional(),
    scopes: z.array(z.enum(permissions)).min(1).optional(),
    projects: projectIds.min(1).optional(),
    expiresInSeconds: z.number().int().min(1).max(oneYearOfSeconds).optional(),
  })
  .refine((body) => body.role === undefined || body.principal === undefined, {
    message: 'makes a new service; leave out `principal`, or `role`',
    path: ['role'],
  });
export type CreateKeyBody = z.infer<typeof createKeyBody>;

/** The key itself is in this answer alone. */
export const createdKey = keyView.extend({ key: z.string() });
export type CreatedKey = z.infer<typeof createdKey>;

/** Of at least 12 characters; what is longer than Argon2 reads in good time is refused. */
export const newPassword = z.string().min(12, 'must have at least 12 characters').max(500);

export const setPasswordBody = z.strictObject({
  password: newPassword,
  /** The present one, where a page's session asks and there is one. */
  current: z.string().max(500).optional(),
});
export type SetPasswordBody = z.infer<typeof setPasswordBody>;
