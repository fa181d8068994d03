import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CreateTaskBody } from '../../contract/tasks.ts';
import { expectSuccess } from '../computers/workspaces/git.ts';
import type { Computer } from './parts.ts';

const examples = join(import.meta.dirname, '..', '..', 'examples');
const example = 'hourglass';
const model = 'recorded/sample-task';

/**
 * Makes a new bare repository with one commit on main that holds the example, and the task that goes with it,
 * for the recorded model. Nobody works in the repository, so a merge can move its branch.
 */
export async function makeSample(
  computer: Computer,
  home: string,
  signal: AbortSignal,
): Promise<CreateTaskBody> {
  const repository = await makeNumberedFolder(join(home, 'demo'));
  const script = `
git init --quiet --bare --initial-branch=main /sample.git
export GIT_DIR=/sample.git GIT_WORK_TREE=/example GIT_INDEX_FILE=/tmp/index
git add --all .
commit=$(git commit-tree "$(git write-tree)" -m "$1 as it was found")
git update-ref refs/heads/main "$commit"`;
  const result = await computer.git.script(
    script,
    [example],
    {
      cwd: '/example',
      mounts: [
        { source: join(examples, example), target: '/example', mode: 'read' },
        { source: repository, target: '/sample.git', mode: 'write' },
      ],
      env: sampleAuthor,
    },
    signal,
  );
  expectSuccess(result, 'making the sample repository');
  const text = await readFile(join(examples, `${example}.task.md`), 'utf8');
  const [title = example, ...rest] = text.trim().split('\n');
  return { title: title.trim(), instructions: rest.join('\n').trim(), repository, model };
}

/** Fixed, so that the commit is the same each time. */
const sampleAuthor = Object.fromEntries(
  ['AUTHOR', 'COMMITTER'].flatMap((who) => [
    [`GIT_${who}_NAME`, 'Mission Control'],
    [`GIT_${who}_EMAIL`, 'demo@mission-control.invalid'],
    [`GIT_${who}_DATE`, '2026-01-05T09:00:00Z'],
  ]),
);

async function makeNumberedFolder(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (let number = 1; ; number++) {
    const folder = join(parent, `${example}-${number}.git`);
    try {
      await mkdir(folder, { mode: 0o700 });
      return folder;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}
