import { readFile } from 'node:fs/promises';
import type { Mount } from '../computers/sandbox.ts';
import { listAttachments } from '../domain/tasks/attachments.ts';
import type { Image } from '../models/model.ts';
import type { DriverParts } from './parts.ts';

/** Inside the sandbox; read-only. */
export const attachmentsTarget = '/attachments';

const imageTypes = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
const maxImageBytes = 5 * 1024 ** 2;
/** Of all images together: they go with every call. */
const mostImageBytes = 10 * 1024 ** 2;

/** What was given with a task, as the agent gets it. */
export interface TaskAttachments {
  mounts: Mount[];
  images: Image[];
  /** One a file, for the briefing. */
  files: { path: string; mediaType: string; size: number; shown: boolean }[];
}

export async function openAttachments(parts: DriverParts, taskId: string): Promise<TaskAttachments> {
  const found: TaskAttachments = { mounts: [], images: [], files: [] };
  let left = mostImageBytes;
  for (const { id, name, mediaType, size } of await listAttachments(parts.database, taskId)) {
    const { path: source } = await parts.artifacts.find(parts.database, id);
    const target = `${attachmentsTarget}/${name}`;
    const shown = imageTypes.has(mediaType) && size <= Math.min(maxImageBytes, left);
    found.mounts.push({ source, target, mode: 'read' });
    found.files.push({ path: target, mediaType, size, shown });
    if (!shown) continue;
    left -= size;
    found.images.push({ mediaType, base64: (await readFile(source)).toString('base64') });
  }
  return found;
}
