import type { Gate, Mount } from '../sandbox.ts';
import type { CheckoutFolders } from './checkout-folders.ts';
import { expectSuccess, type Git, requireObjectId } from './git.ts';

/**
 * The state of a workspace as a git tree: `files/` (all of them, ignored ones too) and `git/` (refs, HEAD,
 * index, configuration and logs, but not `objects`, which only ever grows, collection being off). Its objects
 * are in a store of our own that agents' commands never see.
 *
 * What git would do of its own accord is switched off, so that bytes come back as they went in: attributes of
 * the content (line ends, filters, encodings) are overridden by the store's own, and names that git refuses in
 * an index (a nested `.git`, in any case; a link called `.gitmodules`) travel in an archive beside the tree.
 * A nested repository would become a bare reference to its commit: a placeholder entry below it makes git
 * walk in, and the same walk then removes the placeholder.
 *
 * Not kept: empty folders, times, owners, permission bits other than "executable", and pipes, sockets and
 * devices. Objects that the agent itself prunes are gone. Where something cannot be read, or the index was cut
 * short by a crash, everything is made readable and read anew.
 */
export interface Snapshots {
  /** Makes the store. */
  create(signal: AbortSignal): Promise<void>;
  /** @returns the id of the state; the same state has the same id */
  take(signal: AbortSignal): Promise<string>;
  /** Makes the workspace exactly what it was. */
  restore(snapshot: string, signal: AbortSignal): Promise<void>;
}

const storeConfig = `[core]
	repositoryformatversion = 0
	bare = false
	filemode = true
	symlinks = true
	ignorecase = false
	logallrefupdates = false
	protectNTFS = false
	protectHFS = false
	compression = 1
	looseCompression = 1
	autocrlf = false
	safecrlf = false
	preloadIndex = true
`;

const storeAttributes = '* -text -filter -ident !eol !working-tree-encoding -diff -merge\n';

/** Prints, with NULs, the paths that an index cannot hold. */
const findSpecial = String.raw`find files git -path files/.git -prune -o -path git/objects -prune -o \( -iname .git -o -type l -iname .gitmodules \) -prune -print0`;

const takeScript = `
cd /state
rm -f /snapshots.git/*.lock
attempt() {
  ${findSpecial} > /tmp/special || return 1
  {
    printf '.\\0:(exclude,literal)git/objects\\0'
    sed -z 's/^/:(exclude,literal)/' /tmp/special
  } > /tmp/paths
  if [ -s /tmp/special ]; then
    sed -z -n 's|^\\(.*\\)/[^/]*$|100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\\t\\1/.placeholder-of-mission|p' /tmp/special |
      git update-index -z --add --replace --index-info || return 1
  fi
  git add -A -f --pathspec-from-file=/tmp/paths --pathspec-file-nul > /dev/null
}
if ! attempt 2> /tmp/complaint; then
  chmod -R u+rwX files git
  rm -f /snapshots.git/index
  attempt
fi
tree=$(git write-tree)
if [ -s /tmp/special ]; then
  LC_ALL=C sort -z -o /tmp/special /tmp/special
  tar --create --file /tmp/nested.tar --null --verbatim-files-from --files-from /tmp/special \\
    --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu
  nested=$(git hash-object -w --no-filters /tmp/nested.tar)
  tree=$(printf '100644 blob %s\\tnested.tar\\n040000 tree %s\\tstate\\n' "$nested" "$tree" | git mktree)
fi
echo "$tree"`;

const restoreScript = `
cd /state
rm -f /snapshots.git/*.lock
tree=$1
nested=
if git cat-file -e "$1:nested.tar" 2> /dev/null; then
  nested=$1:nested.tar
  tree=$1:state
fi
find files git -path git/objects -prune -o -type d ! -perm -u=rwx -exec chmod u+rwx {} \\;
${findSpecial} | xargs -0 -r rm -rf --
find files git -path git/objects -prune -o ! -type d ! -type f ! -type l -exec rm -f -- {} +
git read-tree --reset "$tree" 2> /tmp/complaint || { rm -f /snapshots.git/index; git read-tree "$tree"; }
set -- git
if git cat-file -e "$tree:files" 2> /dev/null; then
  set -- files git
else
  find files -mindepth 1 -delete
fi
git clean -q -ffdx -e /git/objects -- "$@"
git checkout-index -q -f -a -u
mkdir -p files/.git git/objects
if [ -n "$nested" ]; then git cat-file blob "$nested" | tar --extract --file - --preserve-permissions --no-same-owner; fi`;

/** @param store the host's folder of the objects */
export function openSnapshots(
  git: Git,
  request: { folders: CheckoutFolders; store: string; gate: Gate },
): Snapshots {
  const { folders, store, gate } = request;
  const mounts: Mount[] = [
    { source: store, target: '/snapshots.git', mode: 'write' },
    { source: folders.files, target: '/state/files', mode: 'write' },
    { source: folders.git, target: '/state/git', mode: 'write' },
  ];
  const options = {
    mounts,
    gate,
    env: { GIT_DIR: '/snapshots.git', GIT_WORK_TREE: '/state', GIT_CEILING_DIRECTORIES: '/' },
    limits: { timeoutMs: 600_000 },
  };
  return {
    async create(signal) {
      const script = `
mkdir -p /snapshots.git/objects /snapshots.git/refs /snapshots.git/info
printf '%s' "$1" > /snapshots.git/config
printf '%s' "$2" > /snapshots.git/info/attributes
echo 'ref: refs/heads/none' > /snapshots.git/HEAD
git write-tree`;
      const made = await git.script(script, [storeConfig, storeAttributes], options, signal);
      expectSuccess(made, 'making the store of snapshots');
    },
    async take(signal) {
      const result = await git.script(takeScript, [], options, signal);
      return requireObjectId(expectSuccess(result, 'taking a snapshot').toString('utf8').trim());
    },
    async restore(snapshot, signal) {
      const result = await git.script(restoreScript, [requireObjectId(snapshot)], options, signal);
      expectSuccess(result, `restoring ${snapshot}`);
    },
  };
}
