import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Database, Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';

export interface Artifact {
  id: string;
  hash: string;
  size: number;
  mediaType: string;
  name: string;
}

/** Content by hash in a folder, named by rows. The content is on disk, synced, before its row exists. */
export class Artifacts {
  readonly #database: Database;
  readonly #folder: string;

  constructor(options: { database: Database; folder: string }) {
    this.#database = options.database;
    this.#folder = options.folder;
  }

  /** Keeps a copy of a file. @param file.path absolute, on the host, written by us */
  async keep(file: {
    path: string;
    name: string;
    mediaType: string;
    runId: string | null;
    taskId: string | null;
    actor: string;
  }): Promise<Artifact> {
    const hash = await hashFile(file.path);
    const { size } = await stat(file.path);
    await this.#store(file.path, hash);
    const id = newId('art');
    await this.#database.transaction('artifacts.keep', async (transaction) => {
      await transaction.many(
        sql`INSERT INTO artifacts (id, hash, size, media_type, name, run_id)
            VALUES (${id}, ${hash}, ${size}, ${file.mediaType}, ${file.name}, ${file.runId})`,
      );
      await appendEvents(transaction, [
        {
          type: 'artifact.created',
          entityType: 'artifact',
          entityId: id,
          ...(file.runId === null ? {} : { runId: file.runId }),
          ...(file.taskId === null ? {} : { taskId: file.taskId }),
          actor: file.actor,
          data: { name: file.name, size },
        },
      ]);
    });
    return { id, hash, size, mediaType: file.mediaType, name: file.name };
  }

  /** Keeps bytes that somebody sent and that belong to no run. */
  async keepBytes(file: {
    bytes: Uint8Array;
    name: string;
    mediaType: string;
    actor: string;
  }): Promise<Artifact> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, `.sent-${newId('art')}`);
    try {
      await writeFile(path, file.bytes, { mode: 0o600 });
      return await this.keep({ ...file, path, runId: null, taskId: null });
    } finally {
      await rm(path, { force: true });
    }
  }

  /** @throws AppError not_found */
  async find(database: Queryable, id: string): Promise<Artifact & { path: string }> {
    const row = await database.maybe<Artifact>(
      sql`SELECT id, hash, size, media_type AS "mediaType", name FROM artifacts WHERE id = ${id}`,
    );
    if (row === undefined) throw new AppError('not_found', `there is no artifact ${id}`);
    return { ...row, path: this.#pathOf(row.hash) };
  }

  #pathOf(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash);
  }

  async #store(source: string, hash: string): Promise<void> {
    const target = this.#pathOf(hash);
    await mkdir(join(this.#folder, hash.slice(0, 2)), { recursive: true, mode: 0o700 });
    const temporary = `${target}.${newId('art')}`;
    try {
      await copyFile(source, temporary);
      await using handle = await open(temporary, 'r+');
      await handle.chmod(0o600);
      await handle.sync();
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
