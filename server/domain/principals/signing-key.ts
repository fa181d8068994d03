import { randomBytes } from 'node:crypto';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';

/** The key that signs the page's cookie, made at the first start; the same in every process of a database. */
export async function ensureCookieKey(database: Database): Promise<Buffer> {
  await database.write(
    'principals.cookie_key',
    sql`INSERT INTO signing_keys (purpose, key) VALUES ('cookie', ${randomBytes(32)}) ON CONFLICT DO NOTHING`,
  );
  const { key } = await database.one<{ key: Buffer }>(
    sql`SELECT key FROM signing_keys WHERE purpose = 'cookie'`,
  );
  return key;
}
