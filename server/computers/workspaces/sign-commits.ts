import { AppError } from '../../errors.ts';
import { expectSuccess, failureOf, type Git, requireObjectId } from './git.ts';
import { keepRef, type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

/**
 * Signs with an SSH key what is in the history of `commit` and of none in `above`: the same trees, authors, dates and
 * messages under new ids. The key is seen by this command alone. Asked again, it gives the same commits, and what
 * it has signed is not signed anew.
 * @param request.keyFile of a private key without a passphrase, on the host
 * @returns the signed commit; `commit` itself where nothing is to be signed
 * @throws AppError `unprocessable` with what to do
 */
export async function signCommits(
  git: Git,
  repository: RepositoryHandle,
  request: { commit: string; above: readonly string[]; keyFile: string },
  signal: AbortSignal,
): Promise<string> {
  const { commit, above, keyFile } = request;
  const script = `${keepRef}
command -v ssh-keygen > /dev/null || exit 10
last=$1
: > /tmp/signed
line() { git show -s --no-show-signature --format="$1" "$old"; }
for old in $(git rev-list --reverse --topo-order "$@"); do
  if git show-ref --quiet --verify "refs/mission/signed/$old"; then
    new=$(git rev-parse "refs/mission/signed/$old")
  else
    parents=
    for parent in $(line %P); do
      mapped=$(sed -n "s/^$parent //p" /tmp/signed)
      parents="$parents -p \${mapped:-$parent}"
    done
    export GIT_AUTHOR_NAME="$(line %an)" GIT_AUTHOR_EMAIL="$(line %ae)" GIT_AUTHOR_DATE="$(line %ad)"
    export GIT_COMMITTER_NAME="$(line %cn)" GIT_COMMITTER_EMAIL="$(line %ce)" GIT_COMMITTER_DATE="$(line %cd)"
    git cat-file commit "$old" | sed '1,/^$/d' > /tmp/message
    new=$(git -c gpg.format=ssh -c user.signingKey=/signing/key commit-tree -S "$(line %T)" $parents -F /tmp/message) || exit 11
    keep_ref "refs/mission/signed/$old" "$new"
    keep_ref "refs/mission/signed/$new" "$new"
  fi
  echo "$old $new" >> /tmp/signed
  if [ "$old" = "$1" ]; then last=$new; fi
done
echo "$last"`;
  const result = await git.script(
    script,
    [requireObjectId(commit), ...above.map((id) => `^${requireObjectId(id)}`)],
    {
      mounts: [
        repositoryMount(repository, 'write'),
        { source: keyFile, target: '/signing/key', mode: 'read' },
      ],
      env: { GIT_DIR: repositoryTarget, GIT_CONFIG_PARAMETERS: "'log.date=raw'" },
    },
    signal,
  );
  if (result.exitCode === 10)
    throw refused(
      'commits are to be signed, and ssh-keygen is not installed: run apt-get install openssh-client',
    );
  if (result.exitCode === 11) {
    throw refused(
      `the commit could not be signed with ${keyFile} (${failureOf(result)}): give an SSH private key without a passphrase as "commits": {"signingKey": …} in mission.config.json`,
    );
  }
  return expectSuccess(result, `signing ${commit}`).toString('utf8').trim();
}

function refused(message: string): AppError {
  return new AppError('unprocessable', message);
}
