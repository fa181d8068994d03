import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sandbox } from '../sandbox.ts';
import { type CleanRoom, openCleanRoom } from './clean-room.ts';
import { type Git, openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import {
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
  serveGit,
  writeFiles,
} from './test-repository.ts';
import { openWorkspaces, type Workspaces } from './workspace.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const content = Buffer.from(`binary\0${'x'.repeat(5000)}\n`);
const oidOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const pointerOf = (bytes: Buffer) =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oidOf(bytes)}\nsize ${bytes.length}\n`;
const objectOf = (source: string, oid: string) =>
  at(`${source}/.git/lfs/objects/${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`);
const branch = 'mission/x';
const identity = { name: 'Agent', email: 'agent@mission.local' };
let sandbox: Sandbox;
let ours: Git;
let repositories: Repositories;
let room: CleanRoom;
let workspaces: Workspaces;

/** As git-lfs leaves it: pointers in the history, content beside it. */
function makeLfsSource(name: string): string {
  makeRepository(at(name), {
    '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
    'a.bin': pointerOf(content),
    'sub/b.bin': pointerOf(content),
    'empty.bin': '',
    'about.txt': pointerOf(Buffer.from('only an example')),
  });
  writeFiles(folder.path, {
    [`${name}/.git/lfs/objects/${oidOf(content).slice(0, 2)}/${oidOf(content).slice(2, 4)}/${oidOf(content)}`]:
      content,
  });
  return at(name);
}

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  ours = await openGit(at('home'), sandbox);
  repositories = openRepositories(at('home'), ours);
  room = await openCleanRoom({ home: at('home'), sandbox, git: ours });
  workspaces = openWorkspaces({ home: at('home'), sandbox, git: ours });
});
afterAll(() => folder.remove());

test('files in Git LFS have their content in clean rooms, and count as unchanged', async () => {
  const { repository, commit } = await repositories.fetch({ location: makeLfsSource('app') }, never);
  const command =
    'sha256sum < a.bin; cmp a.bin sub/b.bin && cat about.txt && stat -c %s empty.bin && touch a.bin && git status --porcelain';
  const checked = await room.runCheck({ repository, commit, command }, never);
  expect(checked).toMatchObject({
    outcome: 'passed',
    excerpt: `${oidOf(content)}  -\n${pointerOf(Buffer.from('only an example'))}0\n`,
  });
});

test('an agent’s commit keeps the pointers, and brings the content of what it changed back to the source', async () => {
  const location = makeLfsSource('delivered');
  const { repository, commit: base } = await repositories.fetch({ location }, never);
  const workspace = await workspaces.create(
    'run',
    '1',
    { repository, commit: base, branch, identity },
    never,
  );
  const sh = async (script: string) => {
    const ran = await workspace.run({ argv: ['sh', '-euc', script] }, never);
    expect(ran.stderr.toString('utf8') + ran.exitCode).toBe('0');
    return ran.stdout.toString('utf8');
  };
  const snapshot = await workspace.snapshot(never);
  await sh('rm a.bin');
  await workspace.restore(snapshot, never);
  expect(await sh('touch a.bin; sha256sum < a.bin; git status --porcelain')).toBe(`${oidOf(content)}  -\n`);
  expect(await workspace.head(never)).toMatchObject({ clean: true });
  const changed = Buffer.from('new content\n');
  await sh(`printf 'new content\\n' > sub/b.bin; echo text > c.txt; git add -A; git commit -qm change`);
  expect(await workspace.head(never)).toMatchObject({ clean: true });
  const { commit } = await workspace.head(never);
  await workspace.exportCommit(commit ?? '', never);
  const shown = git(repository.path, 'show', `${commit}:sub/b.bin`);
  expect(`${shown}\n`).toBe(pointerOf(changed));
  expect(git(repository.path, 'diff', '--name-only', base, commit ?? '')).toBe('c.txt\nsub/b.bin');
  const checked = await room.runCheck({ repository, commit: commit ?? '', command: 'cat sub/b.bin' }, never);
  expect(checked.excerpt).toBe('new content\n');
  const delivery = { location, branch: 'mission/done', commit: commit ?? '' } as const;
  expect(await repositories.publishBranch(repository, delivery, never)).toEqual({ kind: 'moved' });
  expect(readFileSync(objectOf('delivered', oidOf(changed)), 'utf8')).toBe('new content\n');
});

test('content that is not there, or is not what its name says, is named with what to run', async () => {
  const location = makeLfsSource('without');
  writeFileSync(objectOf('without', oidOf(content)), 'something else');
  const failing = () => repositories.fetch({ location }, never);
  await expect(failing()).rejects.toThrow(
    `${location} keeps 2 of its files in Git LFS (such as a.bin), and their content is not there: run \`git -C ${location} lfs pull\` first`,
  );
  rmSync(at('without/.git/lfs'), { recursive: true });
  await expect(failing()).rejects.toMatchObject({ code: 'repository_unusable' });
  expect(existsSync(objectOf('without', oidOf(content)))).toBe(false);
});

test('an address whose content is not here is refused with another way', async () => {
  makeLfsSource('web');
  git(folder.path, 'clone', '-q', '--bare', at('web'), at('web.git'));
  await using server = await serveGit(folder.path);
  await expect(repositories.fetch({ location: `${server.url}/web.git` }, never)).rejects.toThrow(
    /keeps 2 of its files in Git LFS .*: clone it on this machine, run `git lfs pull` there, and give the path/,
  );
});
