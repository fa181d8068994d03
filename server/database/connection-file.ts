import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Connection } from './connection.ts';
import { errorCode } from './error-code.ts';

const connectionFile = z.object({
  /** The folder of the socket. */
  socket: z.string(),
  port: z.number().int(),
  user: z.string(),
  database: z.string(),
  password: z.string().min(1),
  /** The process that keeps PostgreSQL running; null after a clean stop. */
  ownerPid: z.number().int().nullable(),
});
export type ConnectionFile = z.infer<typeof connectionFile>;

/** @returns undefined where there is none, or none that can be understood */
export async function readConnectionFile(path: string): Promise<ConnectionFile | undefined> {
  try {
    const parsed = connectionFile.safeParse(JSON.parse(await readFile(path, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Replaces the file as a whole: it holds the only copy of the password, so it is synced before the old one goes. */
export async function writeConnectionFile(path: string, content: ConnectionFile): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(JSON.stringify(content));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function connectionOf(file: ConnectionFile): Connection {
  const { socket, port, user, database, password } = file;
  return { host: socket, port, user, database, password };
}
