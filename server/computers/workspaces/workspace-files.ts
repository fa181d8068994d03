import { AppError } from '../../errors.ts';
import type { Command, CommandResult } from '../sandbox.ts';
import { workspaceTarget } from './checkout-folders.ts';
import { failureOf } from './git.ts';

/** Runs a script of ours in the workspace; values go in as arguments. */
export type WorkspaceScript = (
  script: string,
  args: string[],
  options: Pick<Command, 'stdin'> & { timeoutMs: number },
  signal: AbortSignal,
) => Promise<CommandResult>;

export type NotReadable = { kind: 'missing' | 'directory' | 'outside' | 'special' | 'denied' };
export type ReadFileResult =
  | { kind: 'file'; bytes: Buffer }
  | { kind: 'too_large'; size: number }
  | NotReadable;
export type WriteFileResult =
  | { kind: 'written'; created: boolean }
  | { kind: 'directory' | 'outside' }
  | { kind: 'failed'; reason: string };

export interface DirectoryEntry {
  /** Relative to the listed folder. */
  path: string;
  type: 'file' | 'directory' | 'link' | 'other';
  /** Bytes. */
  size: number;
}
export type ListDirectoryResult =
  | { kind: 'directory'; entries: DirectoryEntry[]; truncated: boolean }
  | { kind: 'missing' | 'outside' | 'file' };

export interface SearchRequest {
  /** A regular expression (Rust's, or POSIX extended where ripgrep is missing), or with `fixed` plain text. */
  pattern: string;
  path?: string | undefined;
  /** Of file names, such as `*.ts`. */
  glob?: string | undefined;
  /** Matching lines at most. */
  limit: number;
  fixed?: boolean | undefined;
}
export interface SearchMatch {
  path: string;
  line: number;
  text: string;
}
export type SearchResult =
  | { kind: 'matches'; matches: SearchMatch[]; truncated: boolean }
  | { kind: 'missing' | 'outside' | 'timed_out' }
  | { kind: 'invalid'; reason: string };

/**
 * The files of a workspace, as its tools see them. The walls are the sandbox's mounts; a path that leads out of
 * the workspace (through a link, too) or into its git folder is answered with `outside`.
 */
export interface WorkspaceFiles {
  readFile(path: string, signal: AbortSignal, maxBytes?: number): Promise<ReadFileResult>;
  /** Makes parent folders, replaces at once or not at all, keeps the file's mode, writes through links inside. */
  writeFile(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<WriteFileResult>;
  /** @param depth 1 for the folder's own entries */
  listDirectory(path: string, depth: number, signal: AbortSignal): Promise<ListDirectoryResult>;
  /** Skips binary files and, with ripgrep, what .gitignore names. */
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchResult>;
}

export const maxReadBytes = 1024 ** 2;
export const maxListedEntries = 5000;
const fileTimeoutMs = 30_000;
const maxLineLength = 400;

/** Sets `p` to the real path; leaves with 12 where that is not the agent's to touch. A marker keeps newlines. */
const locate = `
p=$(realpath -mz -- "$1" | tr '\\000' x)
p=\${p%x}
case "$p" in
  ${workspaceTarget}/.git|${workspaceTarget}/.git/*) exit 12 ;;
  ${workspaceTarget}|${workspaceTarget}/*|/attachments|/attachments/*) ;;
  *) exit 12 ;;
esac
`;

export function openWorkspaceFiles(run: WorkspaceScript): WorkspaceFiles {
  return {
    readFile: (path, signal, maxBytes = maxReadBytes) => readFile(run, path, maxBytes, signal),
    writeFile: (path, bytes, signal) => writeFile(run, path, bytes, signal),
    listDirectory: (path, depth, signal) => listDirectory(run, path, depth, signal),
    search: (request, signal) => search(run, request, signal),
  };
}

async function readFile(
  run: WorkspaceScript,
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<ReadFileResult> {
  if (path.includes('\0')) return { kind: 'missing' };
  const script = `${locate}
if [ -d "$p" ]; then exit 11; fi
if [ ! -e "$p" ]; then exit 10; fi
if [ ! -f "$p" ]; then exit 13; fi
if [ ! -r "$p" ]; then exit 14; fi
size=$(stat -c %s -- "$p")
if [ "$size" -gt "$2" ]; then echo "$size"; exit 15; fi
cat -- "$p"`;
  const result = await run(script, [path, String(maxBytes)], { timeoutMs: fileTimeoutMs }, signal);
  if (result.exitCode === 15) return { kind: 'too_large', size: Number(result.stdout.toString('utf8')) };
  const kinds = { 10: 'missing', 11: 'directory', 12: 'outside', 13: 'special', 14: 'denied' } as const;
  const kind = kindOf(kinds, result.exitCode);
  if (kind) return { kind };
  if (result.exitCode !== 0) throw new AppError('internal', `reading ${path} failed: ${failureOf(result)}`);
  return { kind: 'file', bytes: result.stdout };
}

async function writeFile(
  run: WorkspaceScript,
  path: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<WriteFileResult> {
  if (path.includes('\0') || path === '') return { kind: 'failed', reason: 'that is no path' };
  // The byte count guards against an input that was cut short: the rename must not publish half a file.
  const script = `${locate}
if [ -d "$p" ]; then exit 11; fi
case "$1" in */) exit 11 ;; esac
if [ -e "$p" ] && [ ! -f "$p" ]; then echo 'it is no regular file' >&2; exit 16; fi
mkdir -p -- "$(dirname -- "$p")" || exit 16
fresh=$(mktemp "$p.XXXXXXXX") || exit 16
trap 'rm -f -- "$fresh"' EXIT
cat > "$fresh"
[ "$(stat -c %s -- "$fresh")" = "$2" ] || { echo 'the content did not arrive whole' >&2; exit 16; }
if [ -e "$p" ]; then chmod --reference="$p" -- "$fresh"; created=0; else chmod 644 -- "$fresh"; created=1; fi
mv -fT -- "$fresh" "$p" || exit 16
echo "$created"`;
  const options = { stdin: bytes, timeoutMs: fileTimeoutMs };
  const result = await run(script, [path, String(bytes.length)], options, signal);
  if (result.exitCode === 11) return { kind: 'directory' };
  if (result.exitCode === 12) return { kind: 'outside' };
  if (result.exitCode !== 0) return { kind: 'failed', reason: failureOf(result) };
  return { kind: 'written', created: result.stdout.toString('utf8').trim() === '1' };
}

async function listDirectory(
  run: WorkspaceScript,
  path: string,
  depth: number,
  signal: AbortSignal,
): Promise<ListDirectoryResult> {
  if (path.includes('\0')) return { kind: 'missing' };
  const script = `${locate}
if [ ! -e "$p" ]; then exit 10; fi
if [ ! -d "$p" ]; then exit 13; fi
find "$p" -mindepth 1 -maxdepth "$2" -path ${workspaceTarget}/.git -prune -o -printf '%y %s %P\\0' 2> /tmp/complaint |
  head -z -n ${maxListedEntries + 1}`;
  const wanted = String(Math.max(1, Math.min(50, Math.floor(depth))));
  const result = await run(script, [path, wanted], { timeoutMs: fileTimeoutMs }, signal);
  const kind = kindOf({ 10: 'missing', 12: 'outside', 13: 'file' } as const, result.exitCode);
  if (kind) return { kind };
  if (result.exitCode !== 0) throw new AppError('internal', `listing ${path} failed: ${failureOf(result)}`);
  const records = result.stdout.toString('utf8').split('\0').slice(0, -1);
  const entries = records.slice(0, maxListedEntries).map(parseEntry);
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { kind: 'directory', entries, truncated: records.length > maxListedEntries };
}

function parseEntry(record: string): DirectoryEntry {
  const [letter = '', size = '0'] = record.split(' ', 2);
  const types = { f: 'file', d: 'directory', l: 'link' } as const;
  const type = letter === 'f' || letter === 'd' || letter === 'l' ? types[letter] : 'other';
  return { path: record.slice(letter.length + size.length + 2), type, size: Number(size) };
}

async function search(
  run: WorkspaceScript,
  request: SearchRequest,
  signal: AbortSignal,
): Promise<SearchResult> {
  const { pattern, path = '.', glob = '', limit, fixed = false } = request;
  if (`${pattern}${path}${glob}`.includes('\0')) return { kind: 'invalid', reason: 'it holds a NUL' };
  const script = `${locate}
if [ ! -e "$p" ]; then exit 10; fi
pattern=$2 glob=$3 fixed=$4
set --
if command -v rg > /dev/null; then
  if [ -n "$glob" ]; then set -- --glob "$glob"; fi
  if [ -n "$fixed" ]; then set -- "$@" --fixed-strings; fi
  exec rg --no-config --line-number --with-filename --null --no-heading --color=never --hidden --glob '!.git' \\
    --sort=path --max-filesize 10M "$@" --regexp="$pattern" -- "$p"
fi
if [ -n "$glob" ]; then set -- --include="$glob"; fi
if [ -n "$fixed" ]; then set -- "$@" -F; else set -- "$@" -E; fi
exec grep -rnIHZ --color=never --exclude-dir=.git --exclude-dir=node_modules "$@" --regexp="$pattern" -- "$p"`;
  const args = [path, pattern, glob, fixed ? 'yes' : ''];
  const result = await run(script, args, { timeoutMs: fileTimeoutMs }, signal);
  if (result.timedOut) return { kind: 'timed_out' };
  const kind = kindOf({ 10: 'missing', 12: 'outside' } as const, result.exitCode);
  if (kind) return { kind };
  const text = result.stdout.toString('utf8');
  // 2 beside matches means that some file could not be read; without any, that the pattern is wrong.
  if (result.exitCode !== 0 && result.exitCode !== 1 && text === '') {
    return { kind: 'invalid', reason: failureOf(result) };
  }
  return { kind: 'matches', ...parseMatches(text, limit) };
}

function parseMatches(text: string, limit: number): { matches: SearchMatch[]; truncated: boolean } {
  const matches: SearchMatch[] = [];
  for (const line of text.split('\n')) {
    const found = line.match(/^([^\0]*)\0(\d+):(.*)$/s);
    if (!found) continue;
    if (matches.length === limit) return { matches, truncated: true };
    const [, path = '', number = '0', content = ''] = found;
    const relative = path.startsWith(`${workspaceTarget}/`) ? path.slice(workspaceTarget.length + 1) : path;
    matches.push({ path: relative, line: Number(number), text: content.slice(0, maxLineLength) });
  }
  return { matches, truncated: false };
}

function kindOf<K extends number, V>(kinds: Record<K, V>, exitCode: number | null): V | undefined {
  const known = new Map<number | null, V>(
    Object.entries<V>(kinds).map(([code, kind]) => [Number(code), kind]),
  );
  return known.get(exitCode);
}
