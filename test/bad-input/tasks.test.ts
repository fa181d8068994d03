import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mission } from '../mission.ts';
import { git, makeSmallRepository } from '../small-repository.ts';
import { makeHome, type TestHome } from '../start-app.ts';

const execute = promisify(execFile);
const started = new AsyncDisposableStack();
let folder: string;
let home: TestHome;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mission-bad-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const recordings = join(folder, 'recordings');
  await cp(join(import.meta.dirname, '..', 'recordings'), recordings, { recursive: true });
  await writeFile(join(recordings, 'cut.jsonl'), '{"recording":1,"title":"cut","model":"recor');
  await writeFile(join(recordings, 'odd-files.jsonl'), recordingOf('odd-files', oddFiles));
  await writeFile(join(recordings, 'giving-up.jsonl'), recordingOf('giving-up', givingUp));
  home = started.use(await makeHome({ checks: { timeoutMinutes: 0.02, redRounds: 1 } }));
  started.use(await home.start({ env: { MISSION_RECORDINGS: recordings, ANTHROPIC_API_KEY: 'sk-test' } }));
});
afterAll(() => started.disposeAsync());

/** Reads what a repository should not hold; each answer must have said what is wrong. */
const oddFiles = [
  { call: ['read_file', { path: 'huge.bin' }] },
  { contains: 'huge.bin', call: ['read_file', { path: 'picture.png' }] },
  { contains: 'picture.png is not text', call: ['read_file', { path: '../../../etc/passwd' }] },
  { contains: 'workspace', call: ['read_file', { path: 'way-out' }] },
  { contains: 'way-out leads out of the workspace', call: ['ask_human', { question: 'all refused' }] },
] as const;

const givingUp = [
  { call: ['finish_phase', { summary: 'a' }] },
  { call: ['finish_phase', { summary: 'b' }] },
  { call: ['finish_phase', { summary: 'c' }] },
  { call: ['run_command', { command: 'echo two >> list.txt && git commit -qam two' }] },
  { call: ['finish_phase', { summary: 'd' }] },
  { call: ['finish_phase', { summary: 'e' }] },
  { call: ['finish_phase', { summary: 'f', title: 'Two', description: 'Two.' }] },
  { contains: '3 checks are red', call: ['ask_human', { question: 'What now?' }] },
] as const;

function recordingOf(
  name: string,
  turns: readonly { contains?: string; call: readonly [string, Record<string, unknown>] }[],
): string {
  const header = { recording: 1, title: 'bad input', model: `recorded/${name}`, source: 'written by hand' };
  const lines = turns.map(({ contains, call: [tool, input] }, turn) => ({
    turn,
    expect: contains === undefined ? {} : { contains: [contains] },
    answer: { toolCalls: [{ name: tool, input }] },
  }));
  return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

async function give(repository: string, ...more: string[]) {
  const model = more.includes('--model') ? [] : ['--model', 'recorded/steady'];
  const ended = await mission(home.path, ['run', 'x', '--repo', repository, '--no-input', ...model, ...more]);
  // The lines of a terminal are broken at its width.
  return { ...ended, words: `${ended.stdout}\n${ended.stderr}`.replace(/\s+/g, ' ') };
}

async function made(name: string, ...args: string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  if (args.length > 0) await git(path, ...args);
  return path;
}

test.each<[string, () => Promise<string[]>, string]>([
  [
    'no repository',
    async () => [await made('plain')],
    'is not a git repository: run `git init` there and commit',
  ],
  ['nothing there', async () => [join(folder, 'nowhere')], 'does not exist: check the path'],
  ['a file', async () => [await fileAt('a-file')], "is a file: give the repository's folder"],
  [
    'an unborn branch',
    async () => [await made('unborn', 'init', '-q')],
    'has no commit on any branch yet: commit something',
  ],
  [
    'an empty one',
    async () => [await made('empty.git', 'init', '-q', '--bare')],
    'has no commit on any branch yet: commit something',
  ],
  [
    'no such branch',
    async () => [home.repository, '--branch', 'mian'],
    'has no branch mian; the nearest are main',
  ],
  ['no branch name', async () => [home.repository, '--branch', 'a..b'], 'give one that the repository has'],
])('%s: the run fails with a sentence that says what to do', async (_name, args, sentence) => {
  const [repository = '', ...more] = await args();
  const { status, words } = await give(repository, ...more);
  expect(words).toContain(sentence);
  expect(status).toBe(1);
});

test.each([
  ['an unknown model', 'anthropic/claude-of-tomorrow', 'No price is known for anthropic/claude-of-tomorrow'],
  ['an unknown provider', 'nobody/model', 'There is no model nobody/model'],
  ['a recording that is not there', 'recorded/none', 'There is no model recorded/none'],
  ['a corrupted recording', 'recorded/cut', 'cut.jsonl is not valid, line 1'],
])('%s: refused before anything is made', async (_name, model, sentence) => {
  const before = (await home.api.tasks()).length;
  const { status, words } = await give(home.repository, '--model', model);
  expect(words).toContain(sentence);
  expect(status).toBe(4);
  expect(await home.api.tasks()).toHaveLength(before);
});

test('a folder that may not be read: said, with what to do', async () => {
  const locked = await made('locked');
  await execute('chmod', ['000', locked]);
  const module = join(import.meta.dirname, '../../server/computers/workspaces/source-location.ts');
  const script = `import { resolveSource } from ${JSON.stringify(module)};
    try { await resolveSource(${JSON.stringify(locked)}); } catch (error) { console.log(error.code, error.message); }`;
  // Root may read everything: the same question as a user without rights of its own.
  const { stdout } = await execute('unshare', [
    ...['--user', '--map-user=65534', '--map-group=65534'],
    ...[process.execPath, '--input-type=module-typescript', '--eval', script],
  ]);
  await execute('chmod', ['700', locked]);
  expect(stdout).toContain('repository_unusable');
  expect(stdout).toContain('may not be read by the user that Mission Control runs as: grant it read access');
});

test('a huge file, a binary, a path and a link that lead out: each refused, and the run goes on', async () => {
  const repository = await makeSmallRepository(join(folder, 'odd'), { 'read.me': 'x\n' });
  const work = join(folder, 'odd-work');
  await git(folder, 'clone', '--quiet', repository, work);
  await writeFile(join(work, 'huge.bin'), Buffer.alloc(50 * 1024 ** 2));
  await writeFile(join(work, 'picture.png'), Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
  await symlink('/etc/passwd', join(work, 'way-out'));
  await git(work, 'add', '--all');
  await git(work, 'commit', '--quiet', '--message=odd files');
  await git(work, 'push', '--quiet', 'origin', 'main');
  const { status, words } = await give(repository, '--model', 'recorded/odd-files', '--check', 'true');
  expect(words).toContain('all refused');
  expect(words).not.toContain('root:x:0:0');
  expect(status).toBe(5);
});

test('checks that are red, hang or need what is not there on the base: said, and no error', async () => {
  const checks = ['echo as it was; exit 3', 'sleep 60', 'no-such-program --all'];
  const { status, words } = await give(
    home.repository,
    ...['--model', 'recorded/giving-up', ...checks.flatMap((check) => ['--check', check])],
  );
  expect(words).toContain('red before any change; the work goes on');
  expect(words).toContain('timed out');
  expect(words).toContain('a command was not found');
  expect(words).toContain('This check failed before your change too.');
  expect(words).toContain('What now?');
  expect(status).toBe(5);
});

async function fileAt(name: string): Promise<string> {
  await writeFile(join(folder, name), 'x');
  return join(folder, name);
}
