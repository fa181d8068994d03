import { AppError } from '../../errors.ts';
import type { CommandResult, Gate } from '../sandbox.ts';
import type { PushTarget } from './forges.ts';
import { failureOf, type Git, requireObjectId } from './git.ts';
import { type RepositoryHandle, repositoryMount, repositoryTarget } from './source-copy.ts';

/**
 * The token comes by standard input into a file of the command's own /tmp and from there to git alone: it is in no
 * argument, environment, configuration or log. A redirect is not followed, so that it goes to no other host.
 */
const withToken = `
umask 077
cat > /tmp/token
printf '#!/bin/sh\\ncase "$1" in Username*) sed -n 1p /tmp/token ;; *) sed -n 2p /tmp/token ;; esac\\n' > /tmp/askpass
chmod 700 /tmp/askpass
export GIT_ASKPASS=/tmp/askpass
forge() { git -c http.followRedirects=false -c credential.helper= -c credential.useHttpPath=false "$@"; }
`;

/** The commit that a branch of the forge has; null where there is no such branch. @throws AppError `unprocessable` */
export async function readRemoteBranch(
  git: Git,
  target: PushTarget,
  branch: string,
  signal: AbortSignal,
): Promise<string | null> {
  const script = `${withToken}forge ls-remote -- "$1" "refs/heads/$2"`;
  const options = {
    mounts: [],
    stdin: secretOf(target),
    network: 'open' as const,
    limits: { timeoutMs: 60_000 },
  };
  const result = await git.script(script, [target.url, branch], options, signal);
  if (result.exitCode !== 0) throw failed(target, 'reading its branches', result);
  const found = result.stdout.toString('utf8').match(/^([0-9a-f]{40})\t/);
  return found?.[1] ?? null;
}

/**
 * Pushes one commit as one branch, only if the branch is still at `expected`.
 * @returns false where it is not
 * @throws AppError `unprocessable` with what the forge says
 */
export async function pushBranch(
  git: Git,
  repository: RepositoryHandle,
  request: {
    target: PushTarget;
    branch: `mission/${string}`;
    commit: string;
    expected: string | null;
    gate: Gate;
  },
  signal: AbortSignal,
): Promise<boolean> {
  const { target, branch, gate } = request;
  const commit = requireObjectId(request.commit);
  const expected = request.expected === null ? '' : requireObjectId(request.expected);
  const script = `${withToken}
forge push --quiet --porcelain --no-follow-tags --no-recurse-submodules --no-verify --no-signed \\
  "--force-with-lease=refs/heads/$2:$4" -- "$1" "$3:refs/heads/$2"`;
  const result = await git.script(
    script,
    [target.url, branch, commit, expected],
    {
      mounts: [repositoryMount(repository, 'read')],
      env: { GIT_DIR: repositoryTarget },
      stdin: secretOf(target),
      network: 'open',
      limits: { timeoutMs: 1_800_000 },
      gate,
    },
    signal,
  );
  if (result.exitCode === 0) return true;
  if (/\[rejected\].*\(stale info\)/.test(result.stdout.toString('utf8'))) return false;
  throw failed(target, `pushing ${branch}`, result);
}

function secretOf({ username, token }: PushTarget): string {
  if (/[\r\n]/.test(token))
    throw new AppError('unprocessable', 'the token holds a line break: set it without');
  return `${username}\n${token}\n`;
}

function failed(target: PushTarget, doing: string, result: CommandResult): AppError {
  const all = `${failureOf(result)}\n${result.stdout.toString('utf8')}`
    .replaceAll(target.token, '***')
    .trim();
  const host = new URL(target.url).host;
  if (/Authentication failed|could not read (Username|Password)|\b401\b/.test(all))
    return new AppError(
      'unprocessable',
      `${host} does not accept the token: check that it is valid and may write to ${target.url}`,
    );
  if (/\b403\b|denied|not allowed/i.test(all))
    return new AppError(
      'unprocessable',
      `the token may not write to ${target.url}: give it leave to push (${lastLine(all)})`,
    );
  if (/redirect|error: 30\d/i.test(all))
    return new AppError(
      'unprocessable',
      `${target.url} has moved, and a token is not sent elsewhere: give the repository's new address`,
    );
  return new AppError('unprocessable', `${doing} at ${target.url} failed: ${lastLine(all)}`);
}

const lastLine = (text: string) =>
  text.split('\n').find((line) => /^(fatal|error|!|remote)/.test(line)) ?? text.slice(-300);
