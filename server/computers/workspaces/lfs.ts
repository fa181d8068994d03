import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Gate, Mount } from '../sandbox.ts';
import { exists, makeFolder } from './folders.ts';
import { expectSuccess, type Git, requireObjectId, splitNul } from './git.ts';
import { downloadLfs, NotDownloaded } from './lfs-download.ts';
import { lfsTarget } from './lfs-filter.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';
import type { PathSource, Source } from './source-location.ts';

/** A file of a commit whose content is in Git LFS. */
interface Pointer {
  path: string;
  /** SHA-256 of the content. */
  oid: string;
  /** Bytes; null where the pointer does not tell. */
  size: number | null;
}

/** The control plane's own copy of the content, by id; beside its copy of the repository. */
const storeOf = (repository: RepositoryHandle) => repository.path.replace(/(\.git)?$/, '.lfs');

/** Shows the content to a command whose git puts it in the files' place. */
export async function lfsMounts(repository: RepositoryHandle): Promise<Mount[]> {
  const store = storeOf(repository);
  return (await exists(store)) ? [{ source: store, target: lfsTarget, mode: 'read' }] : [];
}

/**
 * Takes in the content of a commit's LFS files: from a source on this machine, or from the Git LFS server of a
 * source's http address.
 * @throws AppError `repository_unusable` where content is not to be had, with what to do
 */
export async function bringLfs(
  git: Git,
  repository: RepositoryHandle,
  source: Source,
  commit: string,
  signal: AbortSignal,
): Promise<void> {
  const pointers = await missingFrom(
    storeOf(repository),
    await listPointers(git, repository, commit, signal),
  );
  if (pointers.length === 0) return;
  const { location } = source;
  const unusable = (path: string | undefined, count: number, rest: string) =>
    new AppError(
      'repository_unusable',
      `${location} keeps ${count} of its files in Git LFS (such as ${path}), and ${rest}`,
    );
  const byHand = 'clone it on this machine, run `git lfs pull` there, and give the path';
  if (source.kind === 'path') {
    const from = join(source.commonDir, 'lfs', 'objects');
    const left = await take(git, { repository, pointers, from }, signal);
    if (left.length === 0) return;
    const rest = `their content is not there: run \`git -C ${location} lfs pull\` first`;
    throw unusable(left[0]?.path, left.length, rest);
  }
  if (!/^https?:/.test(location))
    throw unusable(pointers[0]?.path, pointers.length, `their content is not there: ${byHand}`);
  try {
    await downloadLfs(location, pointers, storeOf(repository), signal);
  } catch (error) {
    if (!(error instanceof NotDownloaded)) throw error;
    const rest = `its server ${error.message}: ${error.again ? 'try again, or ' : ''}${byHand}`;
    throw unusable(error.path, pointers.length, rest);
  }
}

/**
 * Takes in what an agent's commit has in LFS files that it changed.
 * @throws AppError `unprocessable` where the commit names content that the workspace does not have
 */
export async function exportLfs(
  git: Git,
  repository: RepositoryHandle,
  request: { commit: string; agentGit: string; gate: Gate },
  signal: AbortSignal,
): Promise<void> {
  const { commit, agentGit, gate } = request;
  const pointers = await missingFrom(
    storeOf(repository),
    await listPointers(git, repository, commit, signal),
  );
  if (pointers.length === 0) return;
  // The agent's folder is mounted whole: a link in it leads nowhere inside.
  const [left] = await take(
    git,
    { repository, pointers, from: agentGit, below: 'lfs/objects', gate },
    signal,
  );
  if (left !== undefined)
    throw new AppError(
      'unprocessable',
      `${left.path} is in Git LFS, and its content ${left.oid} is not in the workspace: add the file again`,
    );
}

/** Gives a source on this machine the content of a commit's LFS files. */
export async function deliverLfs(
  git: Git,
  repository: RepositoryHandle,
  source: PathSource,
  request: { commit: string; gate?: Gate | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { commit, gate } = request;
  const pointers = await listPointers(git, repository, commit, signal);
  const missing = await missingFrom(join(source.commonDir, 'lfs', 'objects'), pointers);
  if (missing.length === 0) return;
  const script = `${copyObject}
mkdir -p /source.git/lfs/objects
while read -r oid; do copy_object ${lfsTarget} /source.git/lfs/objects "$oid" || exit 1; done`;
  const result = await git.script(
    script,
    [],
    {
      mounts: [
        ...(await lfsMounts(repository)),
        { source: source.commonDir, target: '/source.git', mode: 'write' },
      ],
      stdin: linesOf(missing),
      limits: { timeoutMs: 1_800_000 },
      ...(gate ? { gate } : {}),
    },
    signal,
  );
  expectSuccess(result, `bringing the Git LFS content of ${commit} into ${source.location}`);
}

/** Only what hashes to its name is taken, at once or not at all. */
const copyObject = `
copy_object() {
  inner=$(echo "$3" | cut -c1-2)/$(echo "$3" | cut -c3-4)
  if [ ! -f "$1/$inner/$3" ]; then return 1; fi
  mkdir -p "$2/$inner"
  fresh=$(mktemp "$2/$inner/.new-XXXXXXXX")
  cp "$1/$inner/$3" "$fresh"
  found=$(sha256sum < "$fresh")
  if [ "\${found%% *}" != "$3" ]; then rm -f "$fresh"; return 1; fi
  chmod 644 "$fresh"
  mv -f "$fresh" "$2/$inner/$3"
}
`;

/** @returns what is not there */
async function take(
  git: Git,
  request: { repository: RepositoryHandle; pointers: Pointer[]; from: string; below?: string; gate?: Gate },
  signal: AbortSignal,
): Promise<Pointer[]> {
  const { repository, pointers, from, below = '.', gate } = request;
  if (!(await exists(from))) return pointers;
  const store = await makeFolder(storeOf(repository));
  const script = `${copyObject}
while read -r oid; do copy_object "/from/$1" /store "$oid" || echo "$oid"; done`;
  const result = await git.script(
    script,
    [below],
    {
      mounts: [
        { source: from, target: '/from', mode: 'read' },
        { source: store, target: '/store', mode: 'write' },
      ],
      stdin: linesOf(pointers),
      limits: { timeoutMs: 1_800_000 },
      ...(gate ? { gate } : {}),
    },
    signal,
  );
  const left = new Set(expectSuccess(result, 'taking in Git LFS content').toString('utf8').split('\n'));
  return pointers.filter((pointer) => left.has(pointer.oid));
}

/** By the attributes of the commit itself; a text that merely looks like a pointer is none. */
async function listPointers(
  git: Git,
  repository: RepositoryHandle,
  commit: string,
  signal: AbortSignal,
): Promise<Pointer[]> {
  const options = { mounts: [repositoryMount(repository, 'read')], env: { GIT_DIR: repositoryTarget } };
  const script = `
export GIT_INDEX_FILE=/tmp/index
git ls-tree -r -z --name-only "$1" | grep -zE '(^|/)\\.gitattributes$' | sed -z "s/^/$1:/" > /tmp/attributes || exit 0
found=
while IFS= read -r name; do
  if git cat-file blob "$name" | grep -q 'filter=lfs'; then found=yes; fi
done <<X
$(tr '\\000' '\\n' < /tmp/attributes)
X
if [ -z "$found" ]; then exit 0; fi
git read-tree "$1"
git ls-files -s -z
printf 'attributes\\000'
git ls-files -z | git check-attr -z --cached --stdin filter`;
  const listed = await git.script(script, [requireObjectId(commit)], options, signal);
  const records = splitNul(expectSuccess(listed, `looking for Git LFS files of ${commit}`));
  const middle = records.indexOf('attributes');
  if (middle < 0) return [];
  const blobs = new Map<string, string>();
  for (const record of records.slice(0, middle)) {
    const [, blob = '', path = ''] = record.match(/^100\d{3} ([0-9a-f]{40}) 0\t(.*)$/s) ?? [];
    if (blob !== '') blobs.set(path, blob);
  }
  const attributes = records.slice(middle + 1);
  const wanted = attributes.flatMap((path, index) => {
    const blob = blobs.get(path);
    return index % 3 === 0 && attributes[index + 2] === 'lfs' && blob !== undefined ? [{ path, blob }] : [];
  });
  return readPointers(git, wanted, options, signal);
}

async function readPointers(
  git: Git,
  files: { path: string; blob: string }[],
  options: Parameters<Git['script']>[2],
  signal: AbortSignal,
): Promise<Pointer[]> {
  if (files.length === 0) return [];
  const script = `
while read -r blob; do
  printf '%s ' "$blob"
  git cat-file blob "$blob" | head -c 1024 |
    sed -n -e 's/^oid sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' -e 's/^size \\([0-9]\\{1,15\\}\\)$/\\1/p' | tr '\\n' ' '
  echo
done`;
  const stdin = files.map(({ blob }) => `${blob}\n`).join('');
  const read = expectSuccess(
    await git.script(script, [], { ...options, stdin }, signal),
    'reading Git LFS pointers',
  );
  const known = new Map<string, Omit<Pointer, 'path'>>();
  for (const line of read.toString('utf8').split('\n')) {
    const [blob = '', ...values] = line.split(' ');
    const oid = values.find((value) => value.length === 64);
    const size = values.find((value) => /^\d{1,15}$/.test(value));
    if (oid !== undefined) known.set(blob, { oid, size: size === undefined ? null : Number(size) });
  }
  return files.flatMap(({ path, blob }) => {
    const pointer = known.get(blob);
    return pointer === undefined ? [] : [{ path, ...pointer }];
  });
}

async function missingFrom(store: string, pointers: Pointer[]): Promise<Pointer[]> {
  const found = await Promise.all(
    pointers.map(({ oid }) => exists(join(store, oid.slice(0, 2), oid.slice(2, 4), oid))),
  );
  return pointers.filter((_, index) => !found[index]);
}

const linesOf = (pointers: Pointer[]) => [...new Set(pointers.map(({ oid }) => `${oid}\n`))].join('');
