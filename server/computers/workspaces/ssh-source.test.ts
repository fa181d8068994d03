import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../sandbox.ts';
import { openGit } from './git.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import { git, makeRepository, never, openTestSandbox, scratchFolder } from './test-repository.ts';
import { openTransport, sshHostOf } from './transport.ts';

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const user = userInfo().username;
let sandbox: Sandbox;
let repositories: Repositories;
let server: ChildProcess;
let port: number;

/** A real sshd on loopback that knows one key. */
async function startSshd(): Promise<void> {
  const keygen = (name: string) =>
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  mkdirSync(at('.ssh'), { mode: 0o700 });
  for (const name of ['host', '.ssh/id_ed25519', 'other']) keygen(name);
  copyFileSync(at('.ssh/id_ed25519.pub'), at('authorized'));
  port = await freePort();
  const lines = [
    `HostKey ${at('host')}`,
    `AuthorizedKeysFile ${at('authorized')}`,
    `PidFile ${at('pid')}`,
    `Port ${port}`,
    ...[
      'ListenAddress 127.0.0.1',
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
    ],
  ];
  writeFileSync(at('sshd.conf'), `${lines.join('\n')}\n`);
  // Its place for separated privileges, which a start by the system's own service would make.
  if (process.getuid?.() === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 });
  server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ready = Promise.withResolvers<void>();
  let said = '';
  server.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes('Server listening')) ready.resolve();
  });
  server.once('error', ready.reject);
  server.once('exit', () => ready.reject(new Error(`sshd ended: ${said}`)));
  await ready.promise;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return address !== null && typeof address === 'object' ? address.port : 0;
}

function writeSshConfig(knownKey: string): void {
  const known = readFileSync(at(`${knownKey}.pub`), 'utf8')
    .split(' ')
    .slice(0, 2)
    .join(' ');
  writeFileSync(at('.ssh/known_hosts'), `[127.0.0.1]:${port} ${known}\n`);
  writeFileSync(at('.ssh/config'), `Host forge\n  HostName 127.0.0.1\n  Port ${port}\n  User ${user}\n`, {
    mode: 0o600,
  });
}

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  await startSshd();
  repositories = openRepositories(at('home'), await openGit(at('home'), sandbox, { sshFolder: at('.ssh') }));
  makeRepository(at('inner'), { 'deep.txt': 'deep\n' });
  makeRepository(at('app'), { 'a.txt': 'a\n' });
  git(at('app'), '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', '../inner', 'inner');
  git(at('app'), 'commit', '-qm', 'with inner');
});
afterAll(async () => {
  if (server.exitCode === null) {
    server.kill();
    await once(server, 'exit');
  }
  folder.remove();
});

describe('a source that is reached by ssh', () => {
  test("is fetched with the user's own configuration and key, submodules too, by both forms of address", async () => {
    writeSshConfig('host');
    const head = git(at('app'), 'rev-parse', 'HEAD');
    for (const location of [
      `ssh://${user}@127.0.0.1:${port}${at('app')}`,
      `git@forge:${at('app')}`.replace('git@', `${user}@`),
    ]) {
      const fetched = await repositories.fetch({ location }, never);
      expect(fetched).toMatchObject({ commit: head, branch: 'main', sourceKind: 'url', warnings: [] });
    }
  });

  test('is refused where its host is not known, its key is not accepted, or nothing is set up', async () => {
    const location = `ssh://${user}@127.0.0.1:${port}${at('app')}`;
    writeSshConfig('other');
    await expect(repositories.fetch({ location }, never)).rejects.toThrow(
      /cannot be trusted yet: connect once by hand/,
    );
    writeSshConfig('host');
    copyFileSync(at('other.pub'), at('authorized'));
    await expect(repositories.fetch({ location }, never)).rejects.toThrow(
      /accepts none of the keys in ~\/\.ssh/,
    );
    const without = openRepositories(
      at('home'),
      await openGit(at('home'), sandbox, { sshFolder: at('nothing') }),
    );
    await expect(without.fetch({ location }, never)).rejects.toThrow(/does not exist for the user/);
  });
});

test('only plain addresses are taken for ssh, and only they get the keys', async () => {
  expect(sshHostOf('git@github.com:o/r.git')).toBe('github.com');
  expect(sshHostOf('ssh://git@github.com:22/o/r.git')).toBe('github.com');
  for (const text of [
    'ssh://-oProxyCommand=x/y',
    'git@-oProxyCommand=x:y',
    '-x@host:y',
    'ssh://host/-x',
    'git@host:-x',
    'a b@host:x',
    'https://h/x',
    '/x/y@z:1',
  ])
    expect(sshHostOf(text), text).toBeNull();
  expect(await openTransport('https://github.com/o/r', at('.ssh'))).toEqual({ mounts: [], env: {} });
  const { mounts, env } = await openTransport('git@github.com:o/r', at('.ssh'));
  expect(mounts.every(({ mode, source }) => mode === 'read' && source === at('.ssh'))).toBe(true);
  expect(env['GIT_SSH_COMMAND']).toMatch(/^ssh -o BatchMode=yes -o StrictHostKeyChecking=yes /);
});
