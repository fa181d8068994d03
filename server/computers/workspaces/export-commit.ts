import { AppError } from '../../errors.ts';
import type { Gate, Sandbox } from '../sandbox.ts';
import { expectSuccess, failureOf, type Git, requireObjectId } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

export interface ExportedCommit {
  commit: string;
  tree: string;
  message: string;
  /** Files that differ from the base. */
  changedFiles: number;
}

/**
 * Takes a commit out of an agent's object store into the control plane's copy. The first sandbox reads the
 * agent's objects under a configuration of ours (a link among them leads nowhere there) and writes a pack; the second sees only that pack and the
 * copy, checks every object and that the commit stands on `base`, and keeps it as refs/mission/runs/<runId>.
 * @throws AppError `unprocessable` where there is no such commit, or it does not descend from `base`
 */
export async function exportCommit(
  parts: { home: string; git: Git; sandbox: Sandbox },
  request: {
    runId: string;
    agentGit: string;
    repository: RepositoryHandle;
    base: string;
    commit: string;
    gate: Gate;
  },
  signal: AbortSignal,
): Promise<ExportedCommit> {
  const { git } = parts;
  const { repository, gate } = request;
  const base = requireObjectId(request.base);
  const commit = requireObjectId(request.commit);
  return withTemporaryFolder(parts, async (scratch) => {
    const packed = await git.script(
      packScript,
      [commit, base],
      {
        mounts: [
          { source: request.agentGit, target: '/agent.git', mode: 'read' },
          { source: scratch, target: '/out', mode: 'write' },
        ],
        limits: { timeoutMs: 600_000, fileBytes: 2 * 1024 ** 3 },
        gate,
      },
      signal,
    );
    if (packed.exitCode === 10) throw refused(commit, 'the workspace holds no such commit');
    if (packed.exitCode !== 0) throw refused(commit, failureOf(packed));
    const taken = await git.script(
      takeInScript,
      [commit, base, `refs/mission/runs/${request.runId}`],
      {
        mounts: [repositoryMount(repository, 'write'), { source: scratch, target: '/in', mode: 'read' }],
        env: { GIT_DIR: repositoryTarget },
        limits: { timeoutMs: 600_000 },
        gate,
      },
      signal,
    );
    if (taken.exitCode === 11) throw refused(commit, `its history does not stand on the base ${base}`);
    if (taken.exitCode === 12) throw refused(commit, `its objects are not sound: ${failureOf(taken)}`);
    const [tree = '', changed = '0', ...message] = expectSuccess(taken, `taking in ${commit}`)
      .toString('utf8')
      .split('\n');
    return { commit, tree, message: message.join('\n').trimEnd(), changedFiles: Number(changed) };
  });
}

const packScript = `
mkdir -p /tmp/view/refs
cd /tmp/view
ln -s /agent.git/objects objects
echo 'ref: refs/heads/none' > HEAD
printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = true\\n' > config
export GIT_DIR=/tmp/view
git cat-file -e "$1^{commit}" 2> /dev/null || exit 10
printf '%s\\n^%s\\n' "$1" "$2" | git pack-objects --revs --quiet --stdout > /out/pack`;

const takeInScript = `
git index-pack --strict --stdin < /in/pack > /dev/null || exit 12
[ "$(git cat-file -t "$1")" = commit ] || exit 12
git merge-base --is-ancestor "$2" "$1" || exit 11
git rev-list --objects --quiet "$1" "^$2" || exit 12
rm -f "$GIT_DIR/$3.lock"
git update-ref "$3" "$1"
git rev-parse "$1^{tree}"
git diff-tree -r -z --name-only --no-ext-diff "$2" "$1" | tr -dc '\\000' | wc -c
git log -1 --format=%B "$1"`;

function refused(commit: string, reason: string): AppError {
  return new AppError('unprocessable', `the commit ${commit} cannot be taken from the workspace: ${reason}`);
}
