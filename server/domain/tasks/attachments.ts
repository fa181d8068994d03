import { extname } from 'node:path';
import type { AttachmentView } from '../../../contract/tasks.ts';
import { mostAttachments } from '../../../contract/tasks.ts';
import type { Queryable, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { Artifact, Artifacts } from '../artifacts/artifacts.ts';

/** Keeps a file that is to be given with a task. What it is, is told by its bytes where it is an image. */
export async function keepAttachment(
  artifacts: Artifacts,
  actor: Actor,
  file: { name: string; bytes: Uint8Array },
): Promise<AttachmentView> {
  if (actor.role !== 'admin' && actor.role !== 'operator')
    throw new AppError('forbidden', 'only operators and admins attach files');
  if (file.bytes.length === 0) throw new AppError('invalid_request', `${file.name} is empty`);
  const mediaType =
    imageTypeOf(file.bytes) ?? (extname(file.name) === '.txt' ? 'text/plain' : 'application/octet-stream');
  const { id, name, size } = await artifacts.keepBytes({ ...file, mediaType, actor: actor.name });
  return { id, name, size, mediaType };
}

/** @throws AppError `unprocessable` for an identifier that names no attachment */
export async function attachToTask(
  transaction: Transaction,
  taskId: string,
  ids: readonly string[],
): Promise<void> {
  for (const [position, id] of ids.slice(0, mostAttachments).entries()) {
    const made = await transaction.maybe(
      sql`INSERT INTO task_attachments (task_id, position, artifact_id)
          SELECT ${taskId}, ${position}, id FROM artifacts WHERE id = ${id} AND run_id IS NULL RETURNING position`,
    );
    if (made === undefined)
      throw new AppError('unprocessable', `there is no attachment ${id}: upload the file first`);
  }
}

/** The files of a task in their order, each under a name of its own. */
export async function listAttachments(
  database: Queryable,
  taskId: string,
): Promise<(Artifact & { hash: string })[]> {
  const rows = await database.many<Artifact>(
    sql`SELECT artifacts.id, hash, size, media_type AS "mediaType", name FROM task_attachments
        JOIN artifacts ON artifacts.id = artifact_id WHERE task_attachments.task_id = ${taskId} ORDER BY position`,
  );
  const taken = new Set<string>();
  return rows.map((row) => {
    let { name } = row;
    for (let number = 2; taken.has(name); number++) name = `${number}-${row.name}`;
    taken.add(name);
    return { ...row, size: Number(row.size), name };
  });
}

const magic: [string, (bytes: Buffer) => boolean][] = [
  ['image/png', (bytes) => bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))],
  ['image/jpeg', (bytes) => bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))],
  ['image/gif', (bytes) => /^GIF8[79]a$/.test(bytes.toString('latin1', 0, 6))],
  [
    'image/webp',
    (bytes) => bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP',
  ],
];

function imageTypeOf(bytes: Uint8Array): string | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return magic.find(([, fits]) => fits(buffer))?.[0] ?? null;
}
