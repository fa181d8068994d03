import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGit } from './git.ts';
import { openRepositories } from './repositories.ts';
import { git, makeRepository, never, openTestSandbox, scratchFolder, writeFiles } from './test-repository.ts';
import { openWorkspaces, type Workspace } from './workspace.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const identity = { name: 'Agent', email: 'agent@mission.local' };
let open: (runId: string, files: Record<string, string | Buffer>) => Promise<Workspace>;

beforeAll(async () => {
  const sandbox = await openTestSandbox(folder.path);
  const ours = await openGit(at('home'), sandbox);
  const repositories = openRepositories(at('home'), ours);
  const workspaces = openWorkspaces({ home: at('home'), sandbox, git: ours });
  open = async (runId, files) => {
    makeRepository(at(`source-${runId}`), files);
    const { repository, commit } = await repositories.fetch({ location: at(`source-${runId}`) }, never);
    return workspaces.create(runId, '1', { repository, commit, branch: 'mission/x', identity }, never);
  };
});
afterAll(() => folder.remove());

const filesOf = (runId: string) => at(`home/runs/${runId}/files`);

/** Everything that a snapshot promises to keep, as text that can be compared. */
function stateOf(root: string, path = ''): Record<string, string> {
  const state: Record<string, string> = {};
  for (const name of readdirSync(join(root, path)).sort()) {
    const below = path === '' ? name : `${path}/${name}`;
    const found = lstatSync(join(root, below));
    if (found.isDirectory()) Object.assign(state, below === 'objects' ? {} : stateOf(root, below));
    else if (found.isSymbolicLink()) state[below] = `-> ${readlinkSync(join(root, below))}`;
    else if (found.isFile()) {
      state[below] =
        `${found.mode & 0o100 ? 'x' : '-'} ${readFileSync(join(root, below)).toString('base64')}`;
    }
  }
  return state;
}
const wholeState = (runId: string) => ({
  files: stateOf(filesOf(runId)),
  git: stateOf(at(`home/runs/${runId}/git`)),
});

async function sh(workspace: Workspace, script: string): Promise<string> {
  const result = await workspace.run({ argv: ['sh', '-euc', script] }, never);
  expect(result.stderr.toString('utf8') + result.exitCode).toBe('0');
  return result.stdout.toString('utf8');
}

describe('a snapshot', () => {
  test('is the same for the same state, and another for every kind of change', async () => {
    const workspace = await open('same', { 'a.txt': 'one\n', '.gitignore': 'ignored\n', 'sub/b.txt': 'b' });
    const first = await workspace.snapshot(never);
    expect(await workspace.snapshot(never)).toBe(first);
    const seen = new Set([first]);
    const changes = [
      'echo two > a.txt',
      'echo x > ignored',
      'chmod +x a.txt',
      'ln -s a.txt link',
      ': > empty',
      'rm sub/b.txt',
      'mv a.txt c.txt; mkdir a.txt; echo x > a.txt/inside',
      'git add -A',
      'git commit -q -m work',
      'git branch other',
      'git config x.y z',
      'git checkout -q other',
    ];
    for (const change of changes) {
      await sh(workspace, change);
      const next = await workspace.snapshot(never);
      expect(seen.has(next), change).toBe(false);
      seen.add(next);
    }
  });

  test('brings back files, links, modes, ignored files and the state of git', async () => {
    const workspace = await open('back', {
      'a.txt': 'one\r\ntwo\r\n',
      '.gitignore': 'ignored/\n',
    });
    await sh(
      workspace,
      `mkdir -p ignored deep/er; echo secret > ignored/x; printf 'lf\\n$Id$' > deep/er/y.bin; : > empty
       ln -s /etc/passwd out; ln -s nowhere dangling; echo '#!' > run; chmod 755 run; printf n > "$(printf 'new\\nline')"
       printf x > '-rf'; printf x > ':(top)'; printf x > 'Ümläut "q"'; git add -A; git commit -q -m one; echo staged > staged; git add staged; echo later >> staged; printf x > 'git~1'
       printf '*.txt text eol=crlf working-tree-encoding=UTF-16\n* filter=unknown ident\n' > .gitattributes`,
    );
    const before = wholeState('back');
    const snapshot = await workspace.snapshot(never);
    await sh(
      workspace,
      `rm -rf deep ignored out; mkdir out; echo x > out/file; rm a.txt; mkdir -p a.txt/b; echo z > a.txt/b/c; chmod 644 run
       git reset -q --hard; git checkout -q -b elsewhere; git commit -q --allow-empty -m two; git branch -D mission/x; mkfifo pipe
       mkdir -p locked/in; echo x > locked/in/y; chmod 500 locked/in; echo bad >> .git/config; rm -f empty; ln -s /etc deep`,
    );
    await workspace.restore(snapshot, never);
    expect(wholeState('back')).toEqual(before);
    expect(await workspace.snapshot(never)).toBe(snapshot);
    expect((await workspace.head(never)).branch).toBe('mission/x');
    expect(await workspace.snapshot(never)).toBe(snapshot);
    expect(await sh(workspace, 'git log --format=%s -1; git diff --cached --name-only')).toBe(
      'one\nstaged\n',
    );
  });
});

describe('a snapshot of what is out of the ordinary', () => {
  test('keeps nested repositories whole, and other names that an index refuses', async () => {
    const workspace = await open('nested', { 'a.txt': 'one\n' });
    await sh(
      workspace,
      `git init -q in/ner; cd in/ner; git config user.name N; git config user.email n@x; echo v > v; mkdir sub; echo w > sub/w
       git add -A; git commit -q -m nested; git init -q --bare ../bare.git; git init -q ../empty; cd ..
       mkdir .GIT; echo x > .GIT/y; ln -s v .gitmodules; mkdir gitfile; echo 'gitdir: ../ner/.git' > gitfile/.git; echo k > gitfile/k`,
    );
    const before = wholeState('nested');
    const snapshot = await workspace.snapshot(never);
    expect(await workspace.snapshot(never)).toBe(snapshot);
    await sh(
      workspace,
      'cd in/ner; echo more > v; git commit -q -a -m more; rm -rf ../empty ../.GIT ../gitfile; git init -q /workspace/another; echo x > /workspace/another/x',
    );
    const later = wholeState('nested');
    const second = await workspace.snapshot(never);
    expect(second).not.toBe(snapshot);
    await workspace.restore(snapshot, never);
    expect(wholeState('nested')).toEqual(before);
    expect(await workspace.snapshot(never)).toBe(snapshot);
    expect(await sh(workspace, 'git -C in/ner log --format=%s')).toBe('nested\n');
    await workspace.restore(second, never);
    expect(wholeState('nested')).toEqual(later);
    await sh(workspace, 'rm -rf in another');
    await workspace.restore(snapshot, never);
    expect(wholeState('nested')).toEqual(before);
  });

  test('survives unreadable files, an emptied workspace and a killed snapshot', async () => {
    const workspace = await open('hard', { 'a.txt': 'one\n' });
    await sh(workspace, 'echo x > unreadable; mkdir closed; echo y > closed/z; chmod 000 unreadable closed');
    const snapshot = await workspace.snapshot(never);
    writeFiles(at('home/runs/hard/snapshots.git'), { 'index.lock': '', index: 'cut short' });
    expect(await workspace.snapshot(never)).toBe(snapshot);
    writeFiles(at('home/runs/hard/snapshots.git'), { index: 'cut short' });
    await workspace.restore(snapshot, never);
    await sh(workspace, 'rm -rf unreadable a.txt; chmod 700 closed; rm -rf closed');
    const empty = await workspace.snapshot(never);
    await workspace.restore(snapshot, never);
    expect(Object.keys(stateOf(filesOf('hard')))).toEqual(['a.txt', 'closed/z', 'unreadable']);
    await workspace.restore(empty, never);
    expect(stateOf(filesOf('hard'))).toEqual({});
    expect(await workspace.snapshot(never)).toBe(empty);
    await workspace.restore(snapshot, never);
    expect(await workspace.snapshot(never)).toBe(snapshot);
  });

  test('runs nothing of the content: no filter, hook or monitor of the agent touches it', async () => {
    const workspace = await open('filters', { 'a.txt': 'one\n', '.gitattributes': '* filter=evil\n' });
    await sh(
      workspace,
      `git config filter.evil.clean 'sh -c "echo ran >> /workspace/ran; cat"'; git config core.fsmonitor 'sh -c "echo ran >> /workspace/ran"'
       mkdir -p .git/hooks; printf '#!/bin/sh\\necho ran >> /workspace/ran\\n' > .git/hooks/post-index-change; chmod +x .git/hooks/post-index-change
       git config core.hooksPath .git/hooks; rm -f ran; echo changed > a.txt`,
    );
    const snapshot = await workspace.snapshot(never);
    await sh(workspace, 'echo again > a.txt');
    await workspace.restore(snapshot, never);
    expect(Object.keys(stateOf(filesOf('filters')))).toEqual(['.gitattributes', 'a.txt']);
    expect(readFileSync(join(filesOf('filters'), 'a.txt'), 'utf8')).toBe('changed\n');
  });
});

const name = fc.constantFrom('a', 'b', 'c.txt', '.hidden', 'sp ace', 'é', 'new\nline', '.gitignore');
const leaf = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const),
    bytes: fc.uint8Array({ maxLength: 40 }),
    executable: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('link' as const), to: fc.constantFrom('a', '../b', '/etc', 'nowhere') }),
);
const tree = fc.array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), leaf), { maxLength: 12 });
type Tree = typeof tree extends fc.Arbitrary<infer T> ? T : never;

/** Later entries win over earlier ones that are in their way. */
function plant(root: string, entries: Tree): void {
  for (const entry of readdirSync(root)) if (entry !== '.git') rmSync(join(root, entry), { recursive: true });
  for (const [parts, what] of entries) {
    let parent = root;
    for (const part of parts.slice(0, -1)) {
      parent = join(parent, part);
      if (!lstatSync(parent, { throwIfNoEntry: false })?.isDirectory()) rmSync(parent, { force: true });
      mkdirSync(parent, { recursive: true });
    }
    const path = join(parent, parts.at(-1) ?? 'a');
    rmSync(path, { recursive: true, force: true });
    if (what.kind === 'link') symlinkSync(what.to, path);
    else {
      writeFiles(parent, { [parts.at(-1) ?? 'a']: Buffer.from(what.bytes) });
      if (what.executable) chmodSync(path, 0o755);
    }
  }
}

test('any tree comes back from any other', async () => {
  const workspace = await open('property', { 'first.txt': 'x' });
  const root = filesOf('property');
  await fc.assert(
    fc.asyncProperty(tree, tree, async (one, other) => {
      plant(root, one);
      const before = stateOf(root);
      const snapshot = await workspace.snapshot(never);
      plant(root, other);
      const otherState = stateOf(root);
      const second = await workspace.snapshot(never);
      await workspace.restore(snapshot, never);
      expect(stateOf(root)).toEqual(before);
      expect(await workspace.snapshot(never)).toBe(snapshot);
      await workspace.restore(second, never);
      expect(stateOf(root)).toEqual(otherState);
    }),
    { numRuns: 8 },
  );
  expect(git(root, '--git-dir', at('home/runs/property/snapshots.git'), 'fsck', '--no-dangling')).toBe('');
});
