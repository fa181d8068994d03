import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { AppError } from '../../errors.ts';

/** A secret as it is kept: AES-256-GCM's nonce, tag and ciphertext in one. */
export interface Sealed {
  sealed: Buffer;
  /** Names the vault key, and says nothing of it. */
  keyId: string;
}

/** Seals secrets so that the database and its backups hold nothing that can be used. */
export interface Vault {
  seal(name: string, secret: string): Sealed;
  /** @throws AppError `unprocessable` where the key is not here, or the bytes are not what was sealed */
  open(name: string, sealed: Sealed): string;
  /** The key that new secrets are sealed with; undefined where none was needed yet. */
  currentKeyId(): string | undefined;
}

interface VaultKey {
  id: string;
  bytes: Buffer;
}

/**
 * The keys are those of MISSION_VAULT_KEY, else of a file that is made at the first use. The first key seals,
 * the others only open: to change the key, put the new one before the old one.
 */
export function openVault(options: { given: string | null; file: string }): Vault {
  const { given, file } = options;
  const where = given === null ? file : 'MISSION_VAULT_KEY';
  const read = (): VaultKey[] => (given === null ? readKeyFile(file) : parseKeys(given, where));
  let keys = read();
  return {
    currentKeyId: () => keys[0]?.id,
    seal(name, secret) {
      if (keys.length === 0) keys = makeKeyFile(file);
      const [key] = keys;
      if (key === undefined) throw new Error(`no vault key in ${where}`);
      return { sealed: encrypt(key.bytes, name, secret), keyId: key.id };
    },
    open(name, { sealed, keyId }) {
      const find = () => keys.find(({ id }) => id === keyId);
      // Another process may have made or changed the file since it was read here.
      if (find() === undefined) keys = read();
      const key = find();
      if (key === undefined) throw missingKey(name, keyId, where, keys);
      return decrypt(key.bytes, name, sealed);
    },
  };
}

const nonceBytes = 12;
const tagBytes = 16;

/** The secret's name is authenticated with it, so that no row can take another's place. */
function encrypt(key: Buffer, name: string, secret: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}

function decrypt(key: Buffer, name: string, sealed: Buffer): string {
  try {
    const nonce = sealed.subarray(0, nonceBytes);
    const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(name)).setAuthTag(tag);
    const text = decipher.update(sealed.subarray(nonceBytes + tagBytes));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (error) {
    throw new AppError(
      'unprocessable',
      `The sealed key of ${name} was changed or is damaged: give it again.`,
      {
        cause: error,
      },
    );
  }
}

function missingKey(name: string, keyId: string, where: string, keys: VaultKey[]): AppError {
  const here = keys.length === 0 ? 'there is none' : `it holds ${keys.map(({ id }) => id).join(', ')}`;
  return new AppError(
    'unprocessable',
    `The key of ${name} is sealed with the vault key ${keyId}, which ${where} does not hold (${here}). Put that vault key back (MISSION_VAULT_KEY=NEW,OLD, or a line each in the file), or give the provider's key again.`,
  );
}

function readKeyFile(file: string): VaultKey[] {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new AppError('invalid_request', `${file} can be read by others: chmod 600 ${file}`);
    }
    return parseKeys(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Whole or not at all, and never over one that another process has just made. */
function makeKeyFile(file: string): VaultKey[] {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(own, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(own);
  }
  return readKeyFile(file);
}

/** @throws AppError `invalid_request` that names where the key stands, never the key */
function parseKeys(text: string, where: string): VaultKey[] {
  return text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part, at) => {
      const bytes = /^[0-9a-fA-F]{64}$/.test(part) ? Buffer.from(part, 'hex') : Buffer.from(part, 'base64');
      if (bytes.length !== 32) {
        throw new AppError(
          'invalid_request',
          `${where}: key ${at + 1} must be 32 bytes in base64 or hexadecimal, such as "openssl rand -base64 32" prints`,
        );
      }
      return {
        id: createHash('sha256').update('vault key id ').update(bytes).digest('hex').slice(0, 12),
        bytes,
      };
    });
}
