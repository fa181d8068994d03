import { z } from 'zod';
import { unifiedDiff } from './diff.ts';
import { workspacePath } from './paths.ts';
import { replaceExactly } from './replacement.ts';
import { failed, outside, succeeded } from './result.ts';
import { binaryKind, decodeExactly, decodeText } from './text.ts';
import type { FileRead, FileWrite, Tool, ToolOutcome } from './tool.ts';

const largestFile = 1024 ** 2;
const mostLines = 2_000;
const mostCharacters = 60_000;
const longestDiff = 20_000;

const readInput = z.strictObject({
  path: workspacePath,
  offset: z.number().int().min(1).optional().describe('The first line to read, counted from 1.'),
  limit: z.number().int().min(1).max(mostLines).optional().describe('How many lines to read.'),
});

export const readFile: Tool<z.infer<typeof readInput>> = {
  name: 'read_file',
  description:
    'Reads a text file of the workspace as it is, without line numbers. Where only a part is given, a first line in brackets says which; the rest is read with offset.',
  input: readInput,
  effect: 'read',
  subject: (input) => input.path,
  async run({ path, offset = 1, limit = mostLines }, { workspace, signal }) {
    const read = await workspace.readFile(path, signal);
    if (read.kind !== 'file') return refuseRead(path, read);
    const problem = unreadable(path, read.bytes);
    if (problem) return failed(problem);
    return present(path, decodeText(read.bytes), offset, limit);
  },
};

const writeInput = z.strictObject({
  path: workspacePath,
  content: z.string().max(largestFile).describe('The whole new content of the file.'),
});

export const writeFile: Tool<z.infer<typeof writeInput>> = {
  name: 'write_file',
  description:
    'Writes a whole file of the workspace, making its folders; what was in it is replaced. To change a part of a file use edit_file.',
  input: writeInput,
  effect: 'workspace',
  subject: (input) => input.path,
  async run({ path, content }, { workspace, signal }) {
    const before = await workspace.readFile(path, signal);
    const written = await workspace.writeFile(path, Buffer.from(content), signal);
    if (written.kind !== 'written') return refuseWrite(path, written);
    const old = before.kind === 'file' ? decodeExactly(before.bytes) : null;
    const known = before.kind === 'missing' || old !== null;
    const diff = known ? clip(unifiedDiff(path, old, content)) : '';
    const verb = before.kind === 'missing' ? 'created' : old === content ? 'unchanged:' : 'replaced';
    return succeeded(`${verb} ${path} (${countLines(content)})`, diff ? { diff } : {});
  },
};

const editInput = z.strictObject({
  path: workspacePath,
  old_text: z
    .string()
    .min(1)
    .describe('The text to replace, exactly as it stands in the file, with its white space.'),
  new_text: z.string().describe('What stands there afterwards.'),
  replace_all: z.boolean().optional().describe('Replace every occurrence; otherwise there must be just one.'),
});

export const editFile: Tool<z.infer<typeof editInput>> = {
  name: 'edit_file',
  description:
    'Replaces text in a file of the workspace. old_text must stand in the file exactly once, unless replace_all is true. Returns the diff.',
  input: editInput,
  effect: 'workspace',
  subject: (input) => input.path,
  async run({ path, old_text, new_text, replace_all = false }, { workspace, signal }) {
    const read = await workspace.readFile(path, signal);
    if (read.kind !== 'file') return refuseRead(path, read);
    const problem = unreadable(path, read.bytes);
    if (problem) return failed(problem);
    const text = decodeExactly(read.bytes);
    if (text === null) return failed(`${path} is not UTF-8; edit_file would damage it. Use run_command`);
    const replaced = replaceExactly(text, old_text, new_text, replace_all);
    if (!replaced.ok) return failed(`${path}: ${replaced.message}`);
    const written = await workspace.writeFile(path, Buffer.from(replaced.text), signal);
    if (written.kind !== 'written') return refuseWrite(path, written);
    const diff = clip(unifiedDiff(path, text, replaced.text));
    return succeeded(diff, { diff });
  },
};

const listInput = z.strictObject({
  path: workspacePath.optional().describe('A folder; the workspace itself by default.'),
  depth: z.number().int().min(1).max(8).optional().describe('How many levels to show; 1 by default.'),
});

export const listDirectory: Tool<z.infer<typeof listInput>> = {
  name: 'list_directory',
  description: 'Lists a folder of the workspace: folders end in /, files have their size in bytes.',
  input: listInput,
  effect: 'read',
  subject: (input) => input.path ?? '.',
  async run({ path = '.', depth = 1 }, { workspace, signal }) {
    const listing = await workspace.listDirectory(path, depth, signal);
    if (listing.kind === 'outside') return outside(path);
    if (listing.kind === 'missing') return failed(`there is no folder ${path}`);
    const marks = { file: '', directory: '/', link: ' (a link)', other: ' (neither file nor folder)' };
    const lines = listing.entries.map(
      (entry) => `${entry.path}${marks[entry.type]}${entry.type === 'file' ? `  ${entry.size}` : ''}`,
    );
    if (listing.truncated) lines.push('[there is more; list a folder within it, or a smaller depth]');
    return succeeded(lines.join('\n') || `${path} is empty`);
  },
};

const searchInput = z.strictObject({
  pattern: z.string().min(1).max(2_000).describe('A regular expression, or plain text where fixed is true.'),
  path: workspacePath.optional().describe('A folder or file; the whole workspace by default.'),
  glob: z.string().min(1).max(500).optional().describe('Only files whose name matches, such as *.ts.'),
  fixed: z.boolean().optional().describe('Take the pattern as plain text.'),
});

const mostMatches = 200;

export const search: Tool<z.infer<typeof searchInput>> = {
  name: 'search',
  description: `Searches the files of the workspace, line by line. Gives path:line: text, at most ${mostMatches} lines.`,
  input: searchInput,
  effect: 'read',
  subject: (input) => input.path ?? '.',
  async run({ pattern, path, glob, fixed }, { workspace, signal }) {
    const options = { ...(path && { path }), ...(glob && { glob }), ...(fixed && { fixed }) };
    const found = await workspace.search({ pattern, limit: mostMatches, ...options }, signal);
    if (found.kind === 'outside') return outside(path ?? '.');
    if (found.kind === 'bad_pattern') return failed(`the search cannot be done: ${found.message}`);
    const lines = found.lines.map(({ path: file, line, text }) => `${file}:${line}: ${text.slice(0, 300)}`);
    if (found.truncated) lines.push(`[more than ${found.lines.length} lines match; narrow the search]`);
    return succeeded(lines.join('\n') || 'nothing matches');
  },
};

function present(path: string, text: string, offset: number, limit: number): ToolOutcome {
  if (text === '') return succeeded(`[${path} is empty]`);
  const lines = text.split(/(?<=\n)/);
  if (offset > lines.length)
    return failed(`${path} has ${lines.length} lines; offset ${offset} is behind its end`);
  const wanted = lines.slice(offset - 1, offset - 1 + limit);
  const { fitting, cut } = takeFitting(wanted);
  const last = offset - 1 + fitting.length;
  if (offset === 1 && last === lines.length && !cut) return succeeded(text);
  const more = last < lines.length ? `; go on with offset ${last + 1}` : '';
  const long = cut ? `; line ${last} is cut at ${mostCharacters} characters` : '';
  return succeeded(`[lines ${offset} to ${last} of ${lines.length}${more}${long}]\n${fitting.join('')}`);
}

/** As many lines as a model should read at once; a first line that is too long by itself is cut. */
function takeFitting(lines: string[]): { fitting: string[]; cut: boolean } {
  const fitting: string[] = [];
  let characters = 0;
  for (const line of lines) {
    characters += line.length;
    if (characters > mostCharacters) break;
    fitting.push(line);
  }
  if (fitting.length > 0) return { fitting, cut: false };
  return { fitting: [(lines[0] ?? '').slice(0, mostCharacters)], cut: true };
}

function unreadable(path: string, bytes: Buffer): string | null {
  if (bytes.length > largestFile) return tooLarge(path, bytes.length, largestFile);
  const kind = binaryKind(bytes);
  return kind && `${path} is not text: ${kind} of ${bytes.length} bytes`;
}

function tooLarge(path: string, size: number, limit: number): string {
  return `${path} has ${size} bytes, more than the ${limit} that can be read; use search, or run_command with head, tail or sed`;
}

function refuseRead(path: string, read: Exclude<FileRead, { kind: 'file' }>): ToolOutcome {
  if (read.kind === 'missing') return failed(`there is no file ${path}`);
  if (read.kind === 'directory') return failed(`${path} is a folder; use list_directory`);
  if (read.kind === 'too_large') return failed(tooLarge(path, read.size, read.limit));
  return outside(path);
}

function refuseWrite(path: string, written: Exclude<FileWrite, { kind: 'written' }>): ToolOutcome {
  if (written.kind === 'directory') return failed(`${path} is a folder; a file cannot be written there`);
  if (written.kind === 'failed') return failed(`${path} could not be written: ${written.message}`);
  return outside(path);
}

function countLines(text: string): string {
  const count = text.split(/(?<=\n)/).filter((line) => line !== '').length;
  return count === 1 ? '1 line' : `${count} lines`;
}

function clip(diff: string): string {
  if (diff.length <= longestDiff) return diff;
  return `${diff.slice(0, longestDiff)}\n[… ${diff.length - longestDiff} characters of the diff left out …]\n`;
}
