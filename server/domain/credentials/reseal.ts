import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { sealName } from './brokered.ts';
import { resealCredentials } from './change-providers.ts';
import type { Vault } from './vault.ts';

/** Seals all credentials anew that an older vault key sealed; what cannot be opened is left as it is. */
export async function resealAll(
  database: Database,
  vault: Vault,
  actor: { name: string },
): Promise<{ resealed: number; keyId: string | null }> {
  const keyId = vault.currentKeyId() ?? null;
  if (keyId === null) return { resealed: 0, keyId };
  const keys = await resealCredentials(database, vault);
  const brokered = await database.transaction('credentials.reseal_brokered', async (transaction) => {
    const rows = await transaction.many<{ name: string; sealed: Buffer; keyId: string }>(
      sql`SELECT name, sealed, key_id AS "keyId" FROM brokered_credentials WHERE key_id <> ${keyId} FOR UPDATE`,
    );
    let resealed = 0;
    for (const row of rows) {
      const anew = sealAnew(vault, row);
      if (anew === null) continue;
      await transaction.many(
        sql`UPDATE brokered_credentials SET sealed = ${anew.sealed}, key_id = ${anew.keyId} WHERE name = ${row.name}`,
      );
      resealed += 1;
    }
    if (resealed + keys > 0) {
      await appendEvents(transaction, [
        {
          type: 'credential.resealed',
          entityType: 'credential',
          entityId: 'all',
          actor: actor.name,
          data: { resealed: resealed + keys, keyId },
        },
      ]);
    }
    return resealed;
  });
  return { resealed: keys + brokered, keyId };
}

function sealAnew(vault: Vault, row: { name: string; sealed: Buffer; keyId: string }) {
  try {
    return vault.seal(sealName(row.name), vault.open(sealName(row.name), row));
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}
