import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError, messageOf } from '../../errors.ts';

/** How HashiCorp Vault is reached; as its own command line takes it from the environment. */
export interface HashicorpVault {
  address: string;
  token: string;
  namespace: string | null;
}

/**
 * The vault's keys, wherever they are kept. `given` is one of
 *
 *   file:/path                    a file, a key a line
 *   hashicorp-kv:MOUNT/PATH#FIELD a field of a secret in HashiCorp Vault's key-value engine, version 2
 *   hashicorp-transit:NAME        a key of its transit engine: it wraps the keys, which the database keeps wrapped
 *   the keys themselves           in base64 or hexadecimal, with commas between
 *
 * @returns the keys as `openVault` takes them; null for the file in the home
 * @throws AppError invalid_request that says what to do, and holds no key
 */
export async function readVaultKey(
  given: string | null,
  parts: { database: Database; hashicorp: HashicorpVault | null; fetch: typeof fetch },
): Promise<string | null> {
  const [, kind, rest = ''] = given?.match(/^(file|hashicorp-kv|hashicorp-transit):(.+)$/) ?? [];
  if (kind === undefined) return given;
  if (kind === 'file') return readKeys(rest);
  if (parts.hashicorp === null) {
    throw refused(`${kind} needs VAULT_ADDR and VAULT_TOKEN: set both`);
  }
  const vault = openHashicorp(parts.hashicorp, parts.fetch);
  return kind === 'hashicorp-kv' ? readFromStore(vault, rest) : unwrap(parts.database, vault, rest);
}

function readKeys(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw refused(`the file ${path} cannot be read: ${messageOf(error)}`, error);
  }
}

type Hashicorp = <T>(method: 'GET' | 'POST', path: string, schema: z.ZodType<T>, body?: object) => Promise<T>;

const limitMs = 15_000;
const stored = z.object({ data: z.object({ data: z.record(z.string(), z.unknown()) }) });
const dataKey = z.object({ data: z.object({ plaintext: z.string(), ciphertext: z.string() }) });
const decrypted = z.object({ data: z.object({ plaintext: z.string() }) });

async function readFromStore(vault: Hashicorp, place: string): Promise<string> {
  const [, mount, path, field] = place.match(/^([\w.-]+)\/([\w./-]+)#([\w.-]+)$/) ?? [];
  if (mount === undefined || path === undefined || field === undefined)
    throw refused(
      'hashicorp-kv is written hashicorp-kv:MOUNT/PATH#FIELD, such as hashicorp-kv:secret/mission#key',
    );
  const { data } = await vault('GET', `${mount}/data/${path}`, stored);
  const value = data.data[field];
  if (typeof value === 'string' && value !== '') return value;
  throw refused(
    `HashiCorp Vault has no field ${field} in ${mount}/${path}: write one (openssl rand -base64 32)`,
  );
}

/** The newest first, so that it seals; one is made where there is none. */
async function unwrap(database: Database, vault: Hashicorp, name: string): Promise<string> {
  if (!/^[\w.-]+$/.test(name))
    throw refused('hashicorp-transit names one key, such as hashicorp-transit:mission');
  const rows = await database.transaction('credentials.wrap', async (transaction) => {
    // Of two processes that start at once, one makes the key and the other finds it.
    await transaction.many(sql`LOCK TABLE wrapped_vault_keys IN SHARE ROW EXCLUSIVE MODE`);
    const known = await transaction.many<{ ciphertext: string }>(
      sql`SELECT ciphertext FROM wrapped_vault_keys WHERE wrapped_by = ${name} ORDER BY id DESC`,
    );
    if (known.length > 0) return known;
    const { data } = await vault('POST', `transit/datakey/plaintext/${name}`, dataKey, { bits: 256 });
    return transaction.many<{ ciphertext: string }>(
      sql`INSERT INTO wrapped_vault_keys (wrapped_by, ciphertext) VALUES (${name}, ${data.ciphertext})
          RETURNING ciphertext`,
    );
  });
  const keys = await Promise.all(
    rows.map(async ({ ciphertext }) => {
      const { data } = await vault('POST', `transit/decrypt/${name}`, decrypted, { ciphertext });
      return data.plaintext;
    }),
  );
  return keys.join(',');
}

function openHashicorp({ address, token, namespace }: HashicorpVault, send: typeof fetch): Hashicorp {
  const base = URL.parse(address);
  const isLocal = base !== null && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(base.hostname);
  if (base === null || (base.protocol !== 'https:' && !isLocal))
    throw refused(
      'VAULT_ADDR must be an https:// address: over http:// everybody on the way could read the key',
    );
  return async (method, path, schema, body) => {
    const url = new URL(`/v1/${path}`, base);
    const headers = {
      'x-vault-token': token,
      'x-vault-request': 'true',
      ...(namespace === null ? {} : { 'x-vault-namespace': namespace }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const request = { method, headers, redirect: 'error', signal: AbortSignal.timeout(limitMs) } as const;
    let response: Response;
    try {
      response = await send(url, body === undefined ? request : { ...request, body: JSON.stringify(body) });
    } catch (error) {
      throw refused(`HashiCorp Vault at ${base.host} cannot be reached: ${messageOf(error)}`, error);
    }
    const parsed = schema.safeParse(response.ok ? await response.json() : null);
    if (parsed.success) return parsed.data;
    const why =
      response.status === 403
        ? 'the token may not do that: give it a policy that allows it'
        : response.status === 404
          ? 'there is no such thing'
          : `it answered ${response.status}`;
    throw refused(`HashiCorp Vault at ${base.host}, ${method} ${path}: ${why}`);
  };
}

function refused(message: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `MISSION_VAULT_KEY: ${message}.`, { cause });
}
