import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
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
    const { name, mediaType } = file;
    const artifact = { id: newId('art'), hash, size, mediaType, name };
    await this.#database.transaction('artifacts.keep', (transaction) =>
      insertArtifact(transaction, { ...file, ...artifact }),
    );
    return artifact;
  }

  /**
   * Writes content down as it comes, never whole in memory, and names it with a row. Where the sender breaks off,
   * nothing is left.
   * @throws AppError too_large
   */
  async receive(
    content: Readable,
    file: {
      name: string;
      mediaType: string;
      mostBytes: number;
      actor: string;
      /** In the transaction that inserts the row: what it belongs to, or a refusal. */
      belongsTo: (transaction: Transaction) => Promise<{ runId: string | null; taskId: string | null }>;
    },
  ): Promise<string> {
    const id = newId('art');
    const incoming = join(this.#folder, 'incoming');
    await mkdir(incoming, { recursive: true, mode: 0o700 });
    const path = join(incoming, id);
    try {
      const { hash, size } = await writeDown(content, path, file.mostBytes);
      await mkdir(join(this.#folder, hash.slice(0, 2)), { recursive: true, mode: 0o700 });
      await rename(path, this.#pathOf(hash));
      await this.#database.transaction('artifacts.receive', async (transaction) => {
        const { name, mediaType, actor } = file;
        const owner = await file.belongsTo(transaction);
        await insertArtifact(transaction, { id, hash, size, mediaType, name, actor, ...owner });
      });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return id;
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

async function insertArtifact(
  transaction: Transaction,
  artifact: Artifact & { runId: string | null; taskId: string | null; actor: string },
): Promise<void> {
  const { id, hash, size, mediaType, name, runId, taskId, actor } = artifact;
  await transaction.many(
    sql`INSERT INTO artifacts (id, hash, size, media_type, name, run_id, task_id, created_by)
        VALUES (${id}, ${hash}, ${size}, ${mediaType}, ${name}, ${runId}, ${taskId}, ${actor})`,
  );
  await appendEvents(transaction, [
    {
      type: 'artifact.created',
      entityType: 'artifact',
      entityId: id,
      ...(runId === null ? {} : { runId }),
      ...(taskId === null ? {} : { taskId }),
      actor,
      data: { name, size },
    },
  ]);
}

/** On the disk, synced, when this returns. */
async function writeDown(
  content: Readable,
  path: string,
  mostBytes: number,
): Promise<{ hash: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  await using handle = await open(path, 'wx', 0o600);
  for await (const chunk of content) {
    const bytes: Uint8Array = chunk;
    size += bytes.length;
    if (size > mostBytes) {
      throw new AppError(
        'too_large',
        `The content is larger than ${mostBytes} bytes; MISSION_ARTIFACT_BYTES sets the limit.`,
      );
    }
    hash.update(bytes);
    for (let written = 0; written < bytes.length; )
      written += (await handle.write(bytes, written)).bytesWritten;
  }
  await handle.sync();
  return { hash: hash.digest('hex'), size };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
