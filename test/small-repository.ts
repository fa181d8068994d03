import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What the recordings in test/recordings work on: two texts and a check that passes before and after. */
const smallFiles: Readonly<Record<string, string>> = {
  'greeting.txt': 'Helo, world\n',
  'list.txt': 'one\n',
  'check.sh': `set -e
grep -q '^H' greeting.txt
# No line stands twice in a list of its own.
for list in list.txt marks.txt; do
  if [ -f "$list" ]; then test -z "$(sort "$list" | uniq -d)"; fi
done
`,
};

/** A bare repository with one commit on main, so that a merge can move the branch; moves are kept in its reflog. */
export async function makeSmallRepository(
  parent: string,
  files: Readonly<Record<string, string>> = smallFiles,
): Promise<string> {
  await mkdir(parent, { recursive: true });
  const work = await mkdtemp(join(parent, 'work-'));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), content);
  }
  await git(work, 'init', '--quiet', '--initial-branch=main');
  await git(work, 'add', '--all');
  await git(work, 'commit', '--quiet', '--message=as it was found');
  const bare = `${work}.git`;
  await git(parent, 'clone', '--quiet', '--bare', work, bare);
  await git(bare, 'config', 'core.logAllRefUpdates', 'true');
  await mkdir(join(bare, 'logs'), { recursive: true });
  return bare;
}

/** The user's own git on the user's own repository; the same dates each time, so the same commits. */
export async function git(folder: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute('git', args, {
    cwd: folder,
    timeout: 30_000,
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.org',
      GIT_AUTHOR_DATE: '2026-01-05T09:00:00Z',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.org',
      GIT_COMMITTER_DATE: '2026-01-05T09:00:00Z',
    },
  });
  return stdout.trim();
}
