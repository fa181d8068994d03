import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../sandbox.ts';
import { type CleanRoom, openCleanRoom } from './clean-room.ts';
import { type Git, openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import { resolveSubmoduleUrl } from './submodule-links.ts';
import { findMissingSubmodules } from './submodules.ts';
import { git, makeRepository, never, openTestSandbox, scratchFolder, serveGit } from './test-repository.ts';
import { openWorkspaces, type Workspaces } from './workspace.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const identity = { name: 'Agent', email: 'agent@mission.local' };
let sandbox: Sandbox;
let ours: Git;
let repositories: Repositories;
let room: CleanRoom;
let workspaces: Workspaces;

const addModule = (holder: string, url: string, path: string) =>
  git(at(holder), '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', url, path);

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  ours = await openGit(at('home'), sandbox);
  repositories = openRepositories(at('home'), ours);
  room = await openCleanRoom({ home: at('home'), sandbox, git: ours });
  workspaces = openWorkspaces({ home: at('home'), sandbox, git: ours });
  makeRepository(at('forge/inner'), { 'deep.txt': 'deep\n' });
  makeRepository(at('forge/lib'), { 'lib.txt': 'lib\n' });
  addModule('forge/lib', '../inner', 'parts/inner');
  git(at('forge/lib'), 'commit', '-qm', 'with inner');
  makeRepository(at('forge/app'), { 'app.txt': 'app\n' });
  addModule('forge/app', '../lib', 'vendor/a lib');
  git(at('forge/app'), 'commit', '-qm', 'with lib');
});
afterAll(() => folder.remove());

const show =
  'cat "vendor/a lib/lib.txt" "vendor/a lib/parts/inner/deep.txt" && git status --porcelain && git submodule status --recursive | wc -l';

/** A repository whose .gitmodules says what git itself would refuse to write. */
function makeHostile(name: string, settings: string): string {
  makeRepository(at(name), { 'x.txt': 'x\n', '.gitmodules': settings });
  const commit = git(at('forge/inner'), 'rev-parse', 'HEAD');
  git(at(name), 'update-index', '--add', '--cacheinfo', `160000,${commit},sub`);
  git(at(name), 'commit', '-qm', 'hostile');
  return at(name);
}

describe('submodules', () => {
  test('of a source here come from its neighbours, nested ones too, and are in clean rooms', async () => {
    const { repository, commit, warnings } = await repositories.fetch({ location: at('forge/app') }, never);
    expect(warnings).toEqual([]);
    const checked = await room.runCheck({ repository, commit, command: show }, never);
    expect(checked).toMatchObject({ outcome: 'passed', excerpt: 'lib\ndeep\n2\n' });
  });

  test('come from the clones that the owner made, where the address cannot be had', async () => {
    git(
      folder.path,
      '-c',
      'protocol.file.allow=always',
      'clone',
      '-q',
      '--recurse-submodules',
      at('forge/app'),
      at('clone'),
    );
    for (const config of ['.git/config']) {
      git(at('clone'), 'config', '-f', config, 'remote.origin.url', 'https://gone.invalid/app');
    }
    const { repository, commit } = await repositories.fetch({ location: at('clone') }, never);
    const checked = await room.runCheck({ repository, commit, command: show }, never);
    expect(checked).toMatchObject({ outcome: 'passed', excerpt: 'lib\ndeep\n2\n' });
  });

  test('of an address come from addresses relative to it', async () => {
    await using server = await serveGit(folder.path);
    const location = `${server.url}/forge/app/.git`;
    // Relative to …/app/.git the neighbours are one folder up, as beside a bare repository.
    mkdirSync(at('bare'));
    for (const name of ['app', 'lib', 'inner'])
      git(folder.path, 'clone', '-q', '--bare', at(`forge/${name}`), at(`bare/${name}`));
    const { repository, commit } = await repositories.fetch({ location: `${server.url}/bare/app` }, never);
    const checked = await room.runCheck({ repository, commit, command: show }, never);
    expect(checked).toMatchObject({ outcome: 'passed', excerpt: 'lib\ndeep\n2\n' });
    await expect(repositories.fetch({ location }, never)).rejects.toThrow(
      /the submodule vendor\/a lib of .* could not be fetched from .*\/forge\/app\/lib at [0-9a-f]{10}/,
    );
  });

  test('are whole repositories in a workspace: changes in them are seen, kept by snapshots, and not delivered', async () => {
    const { repository, commit } = await repositories.fetch({ location: at('forge/app') }, never);
    const workspace = await workspaces.create(
      'run',
      '1',
      { repository, commit, branch: 'mission/x', identity },
      never,
    );
    const sh = async (script: string) => {
      const ran = await workspace.run({ argv: ['sh', '-euc', script] }, never);
      expect(ran.stderr.toString('utf8') + ran.exitCode).toBe('0');
      return ran.stdout.toString('utf8');
    };
    expect(await sh(show)).toBe('lib\ndeep\n2\n');
    expect(await workspace.head(never)).toMatchObject({ clean: true });
    const snapshot = await workspace.snapshot(never);
    await sh('echo more >> "vendor/a lib/lib.txt"');
    expect(await workspace.head(never)).toMatchObject({
      clean: false,
      status: ' M vendor/a lib (a submodule, with changes in it)',
    });
    await workspace.restore(snapshot, never);
    expect(await workspace.snapshot(never)).toBe(snapshot);
    expect(await sh(show)).toBe('lib\ndeep\n2\n');
    await sh(
      'cd "vendor/a lib" && git config user.name A && git config user.email a@x && echo more >> lib.txt && git commit -qam more',
    );
    expect(await workspace.head(never)).toMatchObject({
      status: ' M vendor/a lib (a submodule, at another commit)',
    });
    await sh('git add -A && git commit -qm bump');
    const { commit: bumped } = await workspace.head(never);
    const exported = await workspace.exportCommit(bumped ?? '', never);
    expect(await findMissingSubmodules(ours, repository, exported.commit, never)).toEqual(['vendor/a lib']);
    await expect(
      room.runCheck({ repository, commit: exported.commit, command: show }, never),
    ).rejects.toThrow(/the submodule vendor\/a lib points to [0-9a-f]{40}, which is not in what was fetched/);
  });

  test('without an address stay empty with a warning, and those that are left out stay out', async () => {
    const location = makeHostile('nameless', '[submodule "other"]\n\tpath = other\n\turl = ../lib\n');
    const { repository, commit, warnings } = await repositories.fetch({ location }, never);
    expect(warnings).toEqual(['sub is a submodule without an address in .gitmodules; it stays empty']);
    const checked = await room.runCheck({ repository, commit, command: 'ls -A sub && cat x.txt' }, never);
    expect(checked).toMatchObject({ outcome: 'passed', excerpt: 'x\n' });
    const none = makeHostile(
      'none',
      '[submodule "s"]\n\tpath = sub\n\turl = ext::sh -c x\n\tupdate = none\n',
    );
    expect((await repositories.fetch({ location: none }, never)).warnings).toEqual([]);
  });
});

describe('a hostile .gitmodules', () => {
  const planted = at('planted');
  const settings = (url: string, more = '', name = 'sub') =>
    `[submodule "${name}"]\n\tpath = sub\n\turl = "${url}"\n${more}`;

  test.each([
    ['a path', () => at('forge/inner')],
    ['a file address', () => `file://${at('forge/inner')}`],
    ['a file address of the machine', () => 'file:///etc'],
    ['a command', () => `ext::sh -c 'touch ${planted}'`],
    ['an option', () => `-u${planted}`],
    ['an upload-pack option', () => `--upload-pack=touch ${planted}`],
    ['a path above', () => '../../../forge/inner'],
    ['a path above and down again', () => '../x/../../y/inner'],
    ['a helper', () => 'fd::0'],
    ['a private machine', () => 'http://169.254.169.254/latest'],
    ['this machine by another name', () => 'http://[::1]:9/x'],
    ['a password', () => 'https://user:secret@example.org/x'],
  ])('that names %s is refused by its name', async (what, url) => {
    const location = makeHostile(`hostile ${what}`, settings(url()));
    await expect(repositories.fetch({ location }, never)).rejects.toMatchObject({
      code: 'repository_unusable',
      message: expect.stringContaining('the submodule sub of '),
    });
    expect(() => readFileSync(planted)).toThrow();
  });

  test('with commands, options and names that lead out has no effect', async () => {
    const more = `\tupdate = "!touch ${planted}"\n\tbranch = --upload-pack=x\n[core]\n\tfsmonitor = touch ${planted}\n[include]\n\tpath = /etc/passwd\n`;
    for (const [index, name] of ['../../../outside', '-x', 'a/modules/b', '..', '/abs'].entries()) {
      const location = makeHostile(`forge/named-${index}`, settings('../inner', more, name));
      const { repository, commit } = await repositories.fetch({ location }, never);
      const checked = await room.runCheck(
        { repository, commit, command: 'cat sub/deep.txt; cat sub/.git' },
        never,
      );
      expect(checked.excerpt).toMatch(/^deep\ngitdir: \.\.\/\.git\/modules\/[0-9a-f]{16}\n$/);
    }
    expect(() => readFileSync(planted)).toThrow();
  });

  test('cannot use a link beside the repository to be led elsewhere', async () => {
    makeRepository(at('secret/inner'), { 'deep.txt': 'secret\n' });
    mkdirSync(at('around'));
    const location = makeHostile('around/app', settings('../inner'));
    symlinkSync(at('secret/inner'), at('around/inner'));
    await expect(repositories.fetch({ location }, never)).rejects.toThrow(/leads elsewhere/);
  });
});

test('relative addresses follow git, and never climb above their host', () => {
  const url = (text: string, base: string) => {
    const found = resolveSubmoduleUrl(text, base);
    return found.kind === 'refused' ? null : found.location;
  };
  expect(url('../lib.git', 'https://forge.example/a/app.git')).toBe('https://forge.example/a/lib.git');
  expect(url('./lib', 'https://forge.example/a/app')).toBe('https://forge.example/a/app/lib');
  expect(url('../../b/lib', 'https://forge.example/a/app/')).toBe('https://forge.example/b/lib');
  expect(url('../../../x', 'https://forge.example/a/app')).toBeNull();
  expect(url('../lib', 'git@forge.example:a/app')).toBe('git@forge.example:a/lib');
  expect(url('../../../x', 'git@forge.example:a/app')).toBeNull();
  expect(url('../lib', '/home/u/app')).toBe('/home/u/lib');
  expect(url('../../v/lib', '/home/u/app')).toBeNull();
  expect(url('https://10.0.0.7/x', 'https://10.0.0.7/app')).toBe('https://10.0.0.7/x');
  expect(url('https://10.0.0.7/x', 'https://forge.example/app')).toBeNull();
});
