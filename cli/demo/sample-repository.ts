import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const gitLimitMs = 30_000;

export interface SampleTask {
  title: string;
  instructions: string;
}

/** The task beside an example: its first line is the title. */
export async function readSampleTask(examples: string, name: string): Promise<SampleTask> {
  const text = await readFile(join(examples, `${name}.task.md`), 'utf8');
  const [title = name, ...rest] = text.trim().split('\n');
  return { title: title.trim(), instructions: rest.join('\n').trim() };
}

/**
 * A new bare repository with one commit on main that holds an example. Nobody works in it, so that a merge
 * can move its branch; the commit is the same each time.
 * @returns its folder, `<parent>/<name>-<n>.git`
 */
export async function makeSampleRepository(examples: string, name: string, parent: string): Promise<string> {
  const folder = await makeNumberedFolder(parent, name);
  const index = join(folder, 'index.sample');
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Mission Control',
    GIT_AUTHOR_EMAIL: 'demo@mission-control.invalid',
    GIT_AUTHOR_DATE: '2026-01-05T09:00:00Z',
    GIT_COMMITTER_NAME: 'Mission Control',
    GIT_COMMITTER_EMAIL: 'demo@mission-control.invalid',
    GIT_COMMITTER_DATE: '2026-01-05T09:00:00Z',
    GIT_INDEX_FILE: index,
  };
  const git = async (...args: string[]) => {
    const { stdout } = await execute('git', args, { cwd: parent, env, timeout: gitLimitMs });
    return stdout.trim();
  };
  const inFolder = [`--git-dir=${folder}`, `--work-tree=${join(examples, name)}`];
  await git('init', '--quiet', '--bare', '--initial-branch=main', folder);
  await git(...inFolder, 'add', '--all', '.');
  const tree = await git(...inFolder, 'write-tree');
  const commit = await git(...inFolder, 'commit-tree', tree, '-m', `${name} as it was found`);
  await git(...inFolder, 'update-ref', 'refs/heads/main', commit);
  await rm(index);
  return folder;
}

async function makeNumberedFolder(parent: string, name: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  for (let number = 1; ; number++) {
    const folder = join(parent, `${name}-${number}.git`);
    try {
      await mkdir(folder);
      return folder;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}
