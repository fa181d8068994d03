import { access } from 'node:fs/promises';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { signCommits } from '../computers/workspaces/sign-commits.ts';
import { AppError, messageOf } from '../errors.ts';
import type { DriverParts } from './parts.ts';

/** What is to be delivered, signed where that is configured: everything in `commit` that is in none of `above`. */
export async function signDelivery(
  parts: Pick<DriverParts, 'computer' | 'settings'>,
  repository: RepositoryHandle,
  range: { commit: string; above: readonly string[] },
  signal: AbortSignal,
): Promise<string> {
  const { signingKey } = parts.settings;
  if (signingKey === null) return range.commit;
  try {
    await access(signingKey);
  } catch (error) {
    throw new AppError(
      'unprocessable',
      `commits are to be signed with ${signingKey}, which cannot be read (${messageOf(error)}): mend "commits": {"signingKey": …} in mission.config.json`,
      { cause: error },
    );
  }
  return signCommits(parts.computer.git, repository, { ...range, keyFile: signingKey }, signal);
}
