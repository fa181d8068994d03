import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { attachmentView, maxAttachmentBytes, mostAttachments } from '../contract/tasks.ts';
import type { Client } from './client.ts';
import { CommandError, exitStatus } from './exit-status.ts';

/** Reads the files before any is sent, so that a wrong one stops all. */
export async function readAttachments(
  files: readonly string[],
  folder: string,
): Promise<{ name: string; bytes: Uint8Array }[]> {
  if (files.length > mostAttachments)
    throw new CommandError(
      exitStatus.usage,
      `At most ${mostAttachments} files can be attached, not ${files.length}.`,
    );
  const read: { name: string; bytes: Uint8Array }[] = [];
  for (const file of files) {
    const path = resolve(folder, file);
    try {
      const { size } = await stat(path);
      if (size > maxAttachmentBytes)
        throw new CommandError(
          exitStatus.usage,
          `${file} is larger than ${maxAttachmentBytes / 1024 ** 2} MB; attach a part of it.`,
        );
      // The agent sees it by this name; what a name cannot hold becomes a dash.
      const name = basename(path)
        .replace(/[^\p{L}\p{N}_ .()+@-]/gu, '-')
        .replace(/^[^\p{L}\p{N}_]+/u, '')
        .slice(0, 100);
      read.push({ name: name || 'file', bytes: await readFile(path) });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      if (error instanceof CommandError) throw error;
      throw new CommandError(exitStatus.usage, `${file} cannot be attached: ${error.message}`, {
        cause: error,
      });
    }
  }
  return read;
}

/** @returns the identifiers, in order */
export async function sendAttachments(
  client: Client,
  files: readonly { name: string; bytes: Uint8Array }[],
  signal: AbortSignal,
): Promise<string[]> {
  const ids: string[] = [];
  for (const { name, bytes } of files) {
    const sent = await client.upload(
      `/attachments?name=${encodeURIComponent(name)}`,
      bytes,
      attachmentView,
      signal,
    );
    ids.push(sent.id);
  }
  return ids;
}
