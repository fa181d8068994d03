import { z } from 'zod';
import { egressHost } from './egress.ts';

export const credentialName = z
  .string()
  .trim()
  .regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/, 'lower-case letters, digits and . _ - only, 1 to 63 of them');

/** `{}` stands for the secret; `{basic USER}` for the base64 of `USER:secret`, as HTTP's Basic wants it. */
export const credentialHeader = z
  .string()
  .trim()
  .max(300)
  .regex(
    /^[A-Za-z][A-Za-z0-9-]{0,63}: [\x20-\x7e]*\{(?:basic [\w.@+-]{1,100})?\}[\x20-\x7e]*$/,
    "a header with its place for the secret, such as 'Authorization: Bearer {}' or 'Authorization: Basic {basic x-access-token}'",
  )
  .refine(
    (header) =>
      !/^(?:host|content-length|transfer-encoding|connection|upgrade|te|trailer|expect|proxy-.*):/i.test(
        header,
      ),
    'this header belongs to the connection and cannot carry a secret',
  );

/** Shorter ones could not be told from ordinary text, so they could not be kept from leaving. */
const secretValue = z
  .string()
  .min(8)
  .max(16_384)
  .regex(/^[^\0\r\n]+$/, 'one line');

export const createCredentialBody = z.strictObject({
  name: credentialName,
  host: egressHost.refine((host) => !host.includes('*'), 'one host, by its whole name'),
  port: z.number().int().min(1).max(65_535).default(443),
  header: credentialHeader.default('Authorization: Bearer {}'),
  /** Plain HTTP would show the secret to everybody on the way. */
  insecure: z.boolean().default(false),
  value: secretValue,
});
export type CreateCredentialBody = z.infer<typeof createCredentialBody>;

export const rotateCredentialBody = z.strictObject({ value: secretValue });

export const grantScope = z.enum(['read', 'write']);
export type GrantScope = z.infer<typeof grantScope>;

export const grantBody = z.strictObject({
  agent: z.string().min(1).max(100),
  /** `read` adds the credential to GET, HEAD and OPTIONS alone. */
  scope: grantScope.default('write'),
  expiresAt: z.iso.datetime().nullable().default(null),
});
export type GrantBody = z.infer<typeof grantBody>;

export const grantView = z.object({
  agent: z.string(),
  scope: grantScope,
  expiresAt: z.string().nullable(),
  grantedBy: z.string(),
  grantedAt: z.string(),
  /** False where it has expired. */
  live: z.boolean(),
});

/** A credential without its secret, which is shown to nobody. */
export const credentialView = z.object({
  name: credentialName,
  host: z.string(),
  port: z.number().int(),
  header: z.string(),
  insecure: z.boolean(),
  grants: z.array(grantView),
  /** Which vault key sealed it. */
  keyId: z.string(),
  createdBy: z.string(),
  createdAt: z.string(),
  rotatedAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
});
export type CredentialView = z.infer<typeof credentialView>;

export const resealView = z.object({ resealed: z.number().int(), keyId: z.string().nullable() });
