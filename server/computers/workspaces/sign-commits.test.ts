import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Git, openGit } from './git.ts';
import { openRepositories, type RepositoryHandle } from './repositories.ts';
import { signCommits } from './sign-commits.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
} from './test-repository.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
let ours: Git;
let repository: RepositoryHandle;
let base: string;
let head: string;

const keygen = (...args: string[]) =>
  execFileSync('ssh-keygen', ['-q', '-N', '', ...args], { stdio: 'ignore' });

beforeAll(async () => {
  ours = await openGit(at('home'), await openTestSandbox(folder.path));
  base = makeRepository(at('source'), { 'a.txt': 'a\n' });
  commitFiles(at('source'), { 'a.txt': 'b\n' }, 'second\n\nwith $(words) and "quotes"\n\n  and space');
  git(at('source'), 'checkout', '-q', '-b', 'side', base);
  commitFiles(at('source'), { 'b.txt': 'b\n' }, 'side');
  git(at('source'), 'checkout', '-q', 'main');
  git(at('source'), 'merge', '-q', '--no-ff', '-m', 'both', 'side');
  head = git(at('source'), 'rev-parse', 'HEAD');
  ({ repository } = await openRepositories(at('home'), ours).fetch({ location: at('source') }, never));
  for (const kind of ['ed25519', 'ecdsa']) keygen('-t', kind, '-f', at(kind));
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', at('locked')]);
});
afterAll(() => folder.remove());

/** What ssh-keygen itself says of a commit's signature. */
function verify(commit: string, key: string): string {
  const raw = execFileSync('git', ['cat-file', 'commit', commit], { cwd: repository.path }).toString(
    'latin1',
  );
  const [, signature = ''] = raw.match(/^gpgsig (.*(?:\n .*)*)\n/m) ?? [];
  const payload = raw.replace(/^gpgsig .*(?:\n .*)*\n/m, '');
  writeFileSync(at('signature'), signature.replaceAll('\n ', '\n'));
  const publicKey = execFileSync('ssh-keygen', ['-y', '-f', at(key)], { encoding: 'utf8' });
  writeFileSync(at('signers'), `ada@example.org ${publicKey}`);
  return execFileSync(
    'ssh-keygen',
    ['-Y', 'verify', '-f', at('signers'), '-I', 'ada@example.org', '-n', 'git', '-s', at('signature')],
    { input: Buffer.from(payload, 'latin1'), encoding: 'utf8' },
  );
}

const sign = (commit: string, key: string) =>
  signCommits(ours, repository, { commit, above: [base], keyFile: at(key) }, never);
const fields = (commit: string) =>
  git(repository.path, 'log', '--topo-order', '--format=%T|%an|%ae|%ad|%cn|%cd|%B', `${base}..${commit}`);

test('every commit of a delivery is signed, and nothing else of it changes', async () => {
  const signed = await sign(head, 'ed25519');
  expect(signed).not.toBe(head);
  expect(fields(signed)).toBe(fields(head));
  const all = git(repository.path, 'rev-list', `${base}..${signed}`).split('\n');
  expect(all).toHaveLength(3);
  for (const commit of all)
    expect(verify(commit, 'ed25519')).toContain('Good "git" signature for ada@example.org');
  expect(() => verify(signed, 'ecdsa')).toThrow();
  expect(await sign(head, 'ed25519')).toBe(signed);
  expect(await sign(signed, 'ed25519')).toBe(signed);
  expect(await sign(base, 'ed25519')).toBe(base);
});

test('a repeat gives the same commit with a key that never signs alike', async () => {
  const commit = commitFiles(at('source'), { 'c.txt': 'c\n' }, 'third');
  await openRepositories(at('home'), ours).fetch({ location: at('source') }, never);
  const signed = await sign(commit, 'ecdsa');
  expect(verify(signed, 'ecdsa')).toContain('Good');
  expect(await sign(commit, 'ecdsa')).toBe(signed);
});

test('a key that cannot be used is named with what to do', async () => {
  const commit = commitFiles(at('source'), { 'd.txt': 'd\n' }, 'fourth');
  await openRepositories(at('home'), ours).fetch({ location: at('source') }, never);
  await expect(sign(commit, 'locked')).rejects.toThrow(
    /could not be signed with .*locked .*without a passphrase/s,
  );
});
