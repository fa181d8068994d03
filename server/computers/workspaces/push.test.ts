import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeOver } from '../gate.ts';
import { findPushTarget, type PushTarget } from './forges.ts';
import { type Git, openGit } from './git.ts';
import { pushBranch, readRemoteBranch } from './push.ts';
import { openRepositories, type RepositoryHandle } from './repositories.ts';
import {
  commitFiles,
  git,
  makeRepository,
  never,
  openTestSandbox,
  scratchFolder,
  serveGit,
} from './test-repository.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const token = 'glpat-very-secret-1234';
const branch = 'mission/chg_1';
let ours: Git;
let repository: RepositoryHandle;
let first: string;
let second: string;

beforeAll(async () => {
  ours = await openGit(at('home'), await openTestSandbox(folder.path));
  first = makeRepository(at('source'), { 'a.txt': 'a\n' });
  second = commitFiles(at('source'), { 'a.txt': 'b\n' }, 'second');
  ({ repository } = await openRepositories(at('home'), ours).fetch({ location: at('source') }, never));
  await takeOver(at('gate'), '1', { limitMs: 5000 });
});
afterAll(() => folder.remove());

const gate = { folder: at('gate'), token: '1' };
const push = (target: PushTarget, commit: string, expected: string | null) =>
  pushBranch(ours, repository, { target, branch, commit, expected, gate }, never);
const targetAt = (url: string, secret = token): PushTarget => ({ url, username: 'oauth2', token: secret });

describe('a push to a forge', () => {
  test('goes with the token only from where the branch was seen, and the token stays nowhere', async () => {
    git(folder.path, 'init', '-q', '--bare', 'forge/app.git');
    await using forge = await serveGit(at('forge'), { password: token });
    const target = targetAt(`${forge.url}/app.git`);
    expect(await readRemoteBranch(ours, target, branch, never)).toBeNull();
    expect(await push(target, first, null)).toBe(true);
    expect(await readRemoteBranch(ours, target, branch, never)).toBe(first);
    expect(await push(target, second, null)).toBe(false);
    expect(await push(target, second, first)).toBe(true);
    expect(await push(target, second, second)).toBe(true);
    expect(git(at('forge/app.git'), 'for-each-ref', '--format=%(refname) %(objectname)')).toBe(
      `refs/heads/${branch} ${second}`,
    );
    expect(new Set(forge.seen.authorization)).toEqual(
      new Set([`Basic ${Buffer.from(`oauth2:${token}`).toString('base64')}`]),
    );
    const holding = () =>
      execFileSync('sh', ['-c', `grep -rlF '${token}' '${at('home')}' || true`], { encoding: 'utf8' });
    expect(holding()).toBe('');
  });

  test('has the token in no argument and no environment of any process', async () => {
    git(folder.path, 'init', '-q', '--bare', 'watched/app.git');
    const found: string[] = [];
    await using forge = await serveGit(at('watched'), { password: token });
    const looking = new AbortController();
    const look = (async () => {
      while (!looking.signal.aborted) {
        for (const pid of readdirSync('/proc').filter(
          (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
        ))
          for (const file of ['cmdline', 'environ'])
            if (readGone(`/proc/${pid}/${file}`).includes(token))
              found.push(readGone(`/proc/${pid}/cmdline`));
        await delay(5);
      }
    })();
    expect(await push(targetAt(`${forge.url}/app.git`), first, null)).toBe(true);
    looking.abort();
    await look;
    expect(found).toEqual([]);
  });

  test('says what to do where the token is wrong, the address has moved or the gate is closed', async () => {
    git(folder.path, 'init', '-q', '--bare', 'closed/app.git');
    await using forge = await serveGit(at('closed'), { password: token });
    await expect(push(targetAt(`${forge.url}/app.git`, 'wrong-secret'), first, null)).rejects.toThrow(
      /127\.0\.0\.1:\d+ does not accept the token: check that it is valid and may write to/,
    );
    await using moved = await serveGit(at('closed'), { redirect: forge.url });
    forge.seen.authorization.length = 0;
    await expect(push(targetAt(`${moved.url}/app.git`), first, null)).rejects.toThrow(/has moved/);
    expect(forge.seen.authorization).toEqual([]);
    const late = { target: targetAt(`${forge.url}/app.git`), branch, commit: first, expected: null } as const;
    await expect(
      pushBranch(ours, repository, { ...late, gate: { ...gate, token: '0' } }, never),
    ).rejects.toThrow(/newer lease/);
    expect(forge.seen.authorization).toEqual([]);
  });
});

test('a token goes only to hosts that it belongs to', () => {
  const settings = {
    hosts: { 'git.example.org': 'gitea', '127.0.0.1': 'gitea' } as const,
    tokens: { github: 'gh', gitea: 'gt' },
  };
  expect(findPushTarget('git@github.com:o/r.git', settings)).toEqual({
    url: 'https://github.com/o/r.git',
    username: 'x-access-token',
    token: 'gh',
  });
  expect(findPushTarget('ssh://git@git.example.org:22/o/r', settings).url).toBe(
    'https://git.example.org/o/r',
  );
  expect(findPushTarget('https://user:pass@git.example.org/o/r', settings).url).toBe(
    'https://git.example.org/o/r',
  );
  expect(findPushTarget('http://127.0.0.1:3000/o/r', settings).token).toBe('gt');
  expect(() => findPushTarget('https://github.com.evil.example/o/r', settings)).toThrow(/"forges"/);
  expect(() => findPushTarget('https://gitlab.com/o/r', settings)).toThrow(/GITLAB_TOKEN/);
  expect(() => findPushTarget('http://git.example.org/o/r', settings)).toThrow(/not encrypted/);
  expect(() => findPushTarget('/srv/git/r', settings)).toThrow(/no https/);
});

function readGone(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}
