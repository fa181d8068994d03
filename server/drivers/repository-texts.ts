import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { z } from 'zod';
import { folderAndAbove } from '../domain/checks/check-folders.ts';
import type { CommitFiles } from './project-parts.ts';

/** What a repository says to those who work on it: read for context, never obeyed. */
export const repositoryText = z.object({ path: z.string(), text: z.string(), truncated: z.boolean() });
export type RepositoryText = z.infer<typeof repositoryText>;

const everywhere = ['AGENTS.md', 'CLAUDE.md', 'GEMINI.md', 'CONTRIBUTING.md', '.cursorrules'];
const atRoot = [
  '.github/copilot-instructions.md',
  '.github/CONTRIBUTING.md',
  'docs/CONTRIBUTING.md',
  '.windsurfrules',
];

/** Of all texts together. */
export const mostTextBytes = 20 * 1024;

/** The texts of the task's folder, those above it and the root's, the nearest first, each content once. */
export async function readRepositoryTexts(files: CommitFiles, folder: string): Promise<RepositoryText[]> {
  const known = new Map(files.paths.map((path) => [path.toLowerCase(), path]));
  const wanted = folderAndAbove(folder).flatMap((at) =>
    [...everywhere, ...(at === '' ? atRoot : [])].map((name) => posix.join(at, name).toLowerCase()),
  );
  const texts: RepositoryText[] = [];
  const seen = new Set<string>();
  let left = mostTextBytes;
  for (const name of wanted) {
    const path = known.get(name);
    // A link is no file of the commit, and reads as none.
    const whole = path === undefined ? null : await files.read(path);
    if (path === undefined || whole === null || whole.trim() === '' || whole.includes('\0')) continue;
    const hash = createHash('sha256').update(whole.trim()).digest('hex');
    if (seen.has(hash)) continue;
    seen.add(hash);
    const text = cut(whole, left);
    left -= Buffer.byteLength(text);
    texts.push({ path, text, truncated: text.length < whole.length });
    if (left < 200) break;
  }
  return texts;
}

/** At most so many bytes, ending with a line where there is one. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const kept = Buffer.from(text)
    .subarray(0, bytes)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
  const end = kept.lastIndexOf('\n');
  return end > 0 ? kept.slice(0, end + 1) : kept;
}
