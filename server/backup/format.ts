import { z } from 'zod';

/*
 * A backup is gzip'd JSON Lines, each line one of these in this order: the header; for each table its columns and
 * then its rows, every value in PostgreSQL's text form; the sequences; the contents of artifacts, each as its
 * name and size and then its bytes in pieces of base64; and the end, with the SHA-256 of all bytes before its line.
 * Sessions, log-in links and what processes write of themselves are not in it, and neither is the vault's key.
 */
export const backupFormat = 1;

const header = z.strictObject({
  backup: z.number().int(),
  /** The newest migration of the database, and all of them by their contents. */
  schema: z.number().int(),
  migrations: z.array(z.strictObject({ number: z.number().int(), sha256: z.string() })),
  version: z.string(),
  createdAt: z.iso.datetime(),
});
export type BackupHeader = z.infer<typeof header>;

export const backupLine = z.union([
  header,
  z.strictObject({
    table: z.string(),
    columns: z.array(z.strictObject({ name: z.string(), type: z.string() })).min(1),
  }),
  z.strictObject({ row: z.array(z.string().nullable()) }),
  z.strictObject({ sequence: z.string(), value: z.string() }),
  z.strictObject({ file: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int() }),
  z.strictObject({ bytes: z.base64() }),
  z.strictObject({ end: z.literal(true), rows: z.number(), files: z.number(), sha256: z.string() }),
]);
export type BackupLine = z.infer<typeof backupLine>;

/** Tables whose rows belong to living processes or open sessions. */
export const leftOut = [
  'schema_migrations',
  'sessions',
  'login_links',
  'signing_keys',
  'workers',
  'job_workers',
  'idempotency_keys',
];

export const quote = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`;
