import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { expectSuccess, type Git, isRepositoryPath, requireObjectId, splitNul } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

export interface TreeFile {
  path: string;
  mode: string;
  /** Bytes; 0 for a submodule. */
  size: number;
}

export interface FileChange {
  path: string;
  /** Set where the file was renamed or copied. */
  from: string | null;
  status: 'added' | 'modified' | 'deleted' | 'renamed' | 'copied' | 'type_changed';
  /** Lines; 0 where `binary`. */
  additions: number;
  deletions: number;
  binary: boolean;
}

export interface Diff {
  /** At most `patchLimit` bytes, cut at a line's end. */
  patch: string;
  truncated: boolean;
  files: FileChange[];
}

export const patchLimit = 2 * 1024 ** 2;

export interface Signature {
  name: string;
  email: string;
}

/** What is in the control plane's copies. Nothing here reads an attribute, filter or driver of the content. */
export interface RepositoryContent {
  /** null where `path` is no regular file of `commit`. @throws AppError `too_large` beyond 32 MiB */
  readFile(
    repository: RepositoryHandle,
    commit: string,
    path: string,
    signal: AbortSignal,
  ): Promise<Buffer | null>;
  listFiles(repository: RepositoryHandle, commit: string, signal: AbortSignal): Promise<TreeFile[]>;
  diff(repository: RepositoryHandle, base: string, commit: string, signal: AbortSignal): Promise<Diff>;
  /**
   * A commit on top of `commit` in which some files are replaced (their mode is kept) or, by null, removed.
   * The same request gives the same id.
   */
  writeTreeWith(
    repository: RepositoryHandle,
    commit: string,
    overrides: Record<string, Buffer | null>,
    signal: AbortSignal,
  ): Promise<string>;
}

export function openRepositoryContent(git: Git): RepositoryContent {
  return {
    readFile: (...args) => readFile(git, ...args),
    listFiles: (...args) => listFiles(git, ...args),
    diff: (...args) => diff(git, ...args),
    writeTreeWith: (...args) => writeTreeWith(git, ...args),
  };
}

const environment = { GIT_DIR: repositoryTarget, GIT_LITERAL_PATHSPECS: '1' };

async function readFile(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  path: string,
  signal: AbortSignal,
): Promise<Buffer | null> {
  if (!isRepositoryPath(path)) return null;
  const mounts = [repositoryMount(repository, 'read')];
  const script = `
found=$(git ls-tree --full-tree "$1" -- "$2")
case "$found" in
  100*) git cat-file blob "$1:$2" ;;
  *) exit 10 ;;
esac`;
  const result = await git.script(
    script,
    [requireObjectId(commit), path],
    { mounts, env: environment },
    signal,
  );
  if (result.exitCode === 10) return null;
  if (result.stdoutTruncated) throw new AppError('too_large', `${path} is too large to be read`);
  return expectSuccess(result, `reading ${path} at ${commit}`);
}

async function listFiles(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<TreeFile[]> {
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', requireObjectId(commit)];
  const options = { mounts: [repositoryMount(repository, 'read')], env: environment };
  const output = expectSuccess(await git.git(args, options, signal), `listing ${commit}`);
  return splitNul(output).map((record) => {
    const tab = record.indexOf('\t');
    const [mode = '', , , size = '-'] = record.slice(0, tab).split(/ +/);
    return { path: record.slice(tab + 1), mode, size: size === '-' ? 0 : Number(size) };
  });
}

async function diff(
  git: Git,
  repository: RepositoryHandle,
  base: string,
  commit: string,
  signal: AbortSignal,
): Promise<Diff> {
  const options = { mounts: [repositoryMount(repository, 'read')], env: environment };
  const range = [requireObjectId(base), requireObjectId(commit)];
  const common = ['-r', '-M', '--no-ext-diff', '--no-textconv', '--no-color', '--full-index'];
  const listed = await git.git(
    ['diff-tree', ...common, '-z', '--raw', '--numstat', ...range],
    options,
    signal,
  );
  const files = parseChanges(splitNul(expectSuccess(listed, `comparing ${base} with ${commit}`)));
  const script = `git diff-tree "$@" > /tmp/patch; head -c ${patchLimit + 1} /tmp/patch`;
  const patched = await git.script(script, [...common, '-p', ...range], options, signal);
  const bytes = expectSuccess(patched, `comparing ${base} with ${commit}`);
  const truncated = bytes.length > patchLimit;
  const kept = truncated ? bytes.subarray(0, bytes.lastIndexOf(10, patchLimit - 1) + 1) : bytes;
  return { patch: kept.toString('utf8'), truncated, files };
}

const statusOf: Record<string, FileChange['status']> = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  R: 'renamed',
  C: 'copied',
  T: 'type_changed',
};

/** `--raw --numstat -z`: all raw records, then one of numbers a file, in the same order. */
function parseChanges(records: string[]): FileChange[] {
  const files: FileChange[] = [];
  let at = 0;
  const next = () => records[at++] ?? '';
  while (records[at]?.startsWith(':')) {
    const letter = next().split(' ').at(-1)?.charAt(0) ?? 'M';
    const first = next();
    const moved = letter === 'R' || letter === 'C';
    files.push({
      path: moved ? next() : first,
      from: moved ? first : null,
      status: statusOf[letter] ?? 'modified',
      additions: 0,
      deletions: 0,
      binary: false,
    });
  }
  for (const file of files) {
    const [additions = '', deletions = ''] = next().split('\t');
    if (file.from !== null) at += 2;
    file.binary = additions === '-';
    file.additions = file.binary ? 0 : Number(additions);
    file.deletions = file.binary ? 0 : Number(deletions);
  }
  return files;
}

async function writeTreeWith(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  overrides: Record<string, Buffer | null>,
  signal: AbortSignal,
): Promise<string> {
  requireObjectId(commit);
  const entries = Object.entries(overrides).sort(([a], [b]) => (a < b ? -1 : 1));
  const wrong = entries.find(([path]) => !isRepositoryPath(path));
  if (wrong)
    throw new AppError('invalid_request', `${JSON.stringify(wrong[0])} is not a path of a repository`);
  if (entries.length === 0) return commit;
  const modes = new Map(
    (await listFiles(git, repository, commit, signal)).map((file) => [file.path, file.mode]),
  );
  const parts: Buffer[] = [];
  const say = (text: string) => parts.push(Buffer.from(text));
  for (const [path, bytes] of entries) {
    if (bytes === null) {
      if (modes.has(path)) say(`D ${quotePath(path)}\n`);
      continue;
    }
    say(
      `M ${modes.get(path) === '100755' ? '100755' : '100644'} inline ${quotePath(path)}\ndata ${bytes.length}\n`,
    );
    parts.push(bytes);
    say('\n');
  }
  const changes = Buffer.concat(parts);
  const ref = `refs/mission/pinned/${createHash('sha256').update(commit).update(changes).digest('hex')}`;
  const author = 'Mission Control <mission@localhost> 0 +0000';
  const head = `commit ${ref}\nmark :1\nauthor ${author}\ncommitter ${author}\ndata 6\npinned\nfrom ${commit}\n`;
  const stdin = Buffer.concat([Buffer.from(head), changes, Buffer.from('\nget-mark :1\ndone\n')]);
  const options = { mounts: [repositoryMount(repository, 'write')], env: environment, stdin };
  const script = `
cat > /tmp/stream
import() { git fast-import --quiet --force --done < /tmp/stream; }
import 2> /tmp/complaint || { rm -f "$GIT_DIR/$1.lock"; import; }`;
  const result = await git.script(script, [ref], options, signal);
  return expectSuccess(result, `writing on top of ${commit}`).toString('utf8').trim();
}

function quotePath(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
