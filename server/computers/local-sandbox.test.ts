import { once } from 'node:events';
import { symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
beforeAll(async () => {
  fixture = await openSandboxFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

describe('what a command has', () => {
  test('its workspace, a home, /tmp, Node 24 and npm', async () => {
    const { text, exitCode } = await fixture.shell(
      'echo kept > file; echo x > ~/x && echo x > /tmp/x && id -u; node -p "process.versions.node"; npm --version; pwd',
    );
    const [uid, node, npm, cwd] = text.trim().split('\n');
    expect({ uid, cwd, exitCode }).toEqual({ uid: '1000', cwd: '/workspace', exitCode: 0 });
    expect(node).toBe(process.versions.node);
    expect(npm).toMatch(/^\d+\./);
    expect((await fixture.shell('cat file; ls -A ~ /tmp | grep x')).text).toBe('kept\n');
  });

  test('a small environment, and the variables of the command', async () => {
    process.env.GIT_DIR = '/nowhere';
    process.env.npm_config_secret = 'hidden';
    const { text } = await fixture.shell('env', { env: { ADDED: 'yes' } });
    delete process.env.GIT_DIR;
    delete process.env.npm_config_secret;
    expect(text).toContain('ADDED=yes');
    expect(text).toContain('HOME=/home/agent');
    expect(text).not.toMatch(/GIT_DIR|hidden|MISSION|VITEST/);
  });

  test('streams that can be opened by name, and no descriptor but the standard three', async () => {
    const result = await fixture.shell(
      'echo out > /dev/stdout; echo err | tee /dev/stderr; ls /proc/self/fd',
    );
    expect(result.stderr.toString()).toBe('err\n');
    const [first, second, ...open] = result.text.trim().split('\n');
    expect([first, second]).toEqual(['out', 'err']);
    const shown = await fixture.shell('for f in /proc/self/fd/*; do readlink "$f"; done');
    expect(shown.text).not.toMatch(/socket|pipe:|lock|seccomp/);
    expect(open.slice(0, 3)).toEqual(['0', '1', '2']);
  });

  test('input, exit status, signal and a missing program are told apart', async () => {
    expect((await fixture.shell('cat', { stdin: 'from outside' })).text).toBe('from outside');
    expect((await fixture.shell('true', { stdin: 'x'.repeat(1_000_000) })).exitCode).toBe(0);
    expect(await fixture.shell('exit 7')).toMatchObject({ exitCode: 7, signal: null });
    expect(await fixture.shell('kill -SEGV $$')).toMatchObject({ exitCode: null, signal: 'SIGSEGV' });
    expect(await fixture.shell('', { argv: ['no-such-program'] })).toMatchObject({ exitCode: 127 });
  });
});

describe('what a command cannot reach', () => {
  test('files of the host', async () => {
    await writeFile(join(fixture.folder, 'secret'), 'host');
    const hidden = [
      '/root',
      '/etc/shadow',
      '/var',
      '/home/user',
      '/etc/npmrc',
      fixture.folder,
      process.cwd(),
      '/sys',
    ];
    for (const path of hidden) {
      const { exitCode, text } = await fixture.shell(`ls -d '${path}'`);
      expect({ path, exitCode, text }).toMatchObject({ exitCode: 2, text: '' });
    }
    expect((await fixture.shell('ls /usr/bin/env /etc/passwd /workspace -d')).exitCode).toBe(0);
    expect((await fixture.shell('ls /home')).text).toBe('agent\n');
  });

  test('another run', async () => {
    await fixture.shell('echo mine > /tmp/left; echo mine > ~/left; echo mine > /dev/shm/left');
    expect((await fixture.shell('cat /tmp/left ~/left /dev/shm/left')).text).toBe('');
  });

  test('places to write, except its own', async () => {
    for (const path of [
      '/usr/x',
      '/etc/x',
      '/x',
      '/opt/node/bin/x',
      '/dev/x',
      '/proc/sys/kernel/hostname',
      '/bin/x',
    ]) {
      expect((await fixture.shell(`echo x > ${path}`)).exitCode, path).toBe(1);
    }
    const settings = await fixture.shell(
      'find /proc -mindepth 1 -maxdepth 7 -writable ! -type l ! -path "/proc/[0-9]*" ! -path "/proc/self*" ! -path "/proc/thread-self*"; echo x > /proc/sys/kernel/core_pattern',
    );
    expect(settings).toMatchObject({ text: '', exitCode: 1 });
    const readOnly = { source: fixture.workspace, target: '/input', mode: 'read' } as const;
    expect((await fixture.shell('touch /input/x', { cwd: '/', mounts: [readOnly] })).exitCode).toBe(1);
    const scratch = await fixture.shell('echo ok > /workspace/build/x && cat /workspace/build/x', {
      scratch: ['/workspace/build'],
    });
    expect(scratch.text).toBe('ok\n');
    expect((await fixture.shell('ls build')).text).toBe('');
  });

  test('files outside, through a link in the workspace', async () => {
    await writeFile(join(fixture.folder, 'secret'), 'host');
    await symlink(join(fixture.folder, 'secret'), join(fixture.workspace, 'outward'));
    await symlink('/etc/passwd', join(fixture.workspace, 'passwd'));
    await writeFile(join(fixture.workspace, 'plain'), 'here');
    await symlink('plain', join(fixture.workspace, 'inward'));
    expect((await fixture.shell('cat outward')).exitCode).toBe(1);
    expect((await fixture.shell('cat passwd')).text).toContain('agent:x:1000');
    expect((await fixture.shell('cat inward')).text).toBe('here');
    const nested = { source: fixture.folder, target: '/workspace/outward/deep', mode: 'write' } as const;
    const mounts = [{ source: fixture.workspace, target: '/workspace', mode: 'write' } as const, nested];
    await expect(fixture.shell('true', { mounts })).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('what a command cannot touch of the machine', () => {
  test('processes of the host', async () => {
    const { text } = await fixture.shell(
      'ls /proc | grep -E "^[0-9]+$" | wc -l; sleep 9 & kill $! && echo own',
    );
    expect(
      (await fixture.shell('ls /proc/1/root/ /proc/1/cwd/ | grep -E "^(root|oldroot|boot|var)"')).text,
    ).toBe('');
    const [count, own] = text.trim().split('\n');
    expect(Number(count)).toBeLessThan(8);
    expect(own).toBe('own');
    expect((await fixture.shell(`kill -0 ${process.pid}`)).exitCode).toBe(1);
    expect((await fixture.shell('sleep 9 & kill -9 -1; wait; echo lived')).text).toBe('lived\n');
  });

  test('the network, the loopback of the host and its sockets', async () => {
    const server = createServer((socket) => socket.end('host')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const abstract = createServer((socket) => socket.end('host')).listen('\0sandbox-test-abstract');
    await once(abstract, 'listening');
    const attempt = (target: string) =>
      `require("net").connect(${target}).on("data", (d) => console.log("reached " + d)).on("error", (e) => console.log(e.code))`;
    const script = [
      `{port:${port},host:"127.0.0.1"}`,
      `{path:"\\0sandbox-test-abstract"}`,
      '{port:80,host:"1.1.1.1"}',
    ]
      .map(attempt)
      .join(';');
    const refused = await fixture.shell('', { argv: ['node', '-e', script] });
    expect(refused.text).not.toContain('reached');
    expect(refused.text.trim().split('\n')).toHaveLength(3);
    expect((await fixture.shell('getent hosts registry.npmjs.org')).exitCode).not.toBe(0);
    const open = await fixture.shell('', { argv: ['node', '-e', attempt(`${port}`)], network: 'open' });
    expect(open.text).toBe('reached host\n');
    const own = 'require("net").createServer(s=>s.end("in")).listen(4000,"127.0.0.1",()=>';
    const inside = await fixture.shell('', {
      argv: ['node', '-e', `${own}${attempt('4000')}.on("close",()=>process.exit()))`],
    });
    expect(inside.text).toBe('reached in\n');
    expect((await fixture.shell('find / -xdev -type s 2>/dev/null; ls /var/run /run')).text).toBe('');
    server.close();
    abstract.close();
  });

  test('dangerous calls of the kernel, nor new privileges', async () => {
    const { text } = await fixture.shell(
      'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1',
    );
    expect(text).toMatch(/CapEff:\s+0+\n/);
    expect(text).toMatch(/CapBnd:\s+0+\n/);
    expect(text).toMatch(/NoNewPrivs:\s+1\n/);
    expect(text).toMatch(/Seccomp:\s+2\n/);
    expect(text).toMatch(/unshare failed: Operation not permitted/);
    expect(text).toMatch(/mount: .*(permission denied|must be superuser)/i);
  });
});

test('what would breach the walls is refused before anything starts', async () => {
  for (const target of [
    '/',
    '/usr',
    '/usr/local/x',
    '/etc/x',
    '/lib64',
    '/opt',
    '/workspace/../etc',
    'relative',
    '/proc/1',
  ]) {
    const mounts = [{ source: fixture.workspace, target, mode: 'write' } as const];
    await expect(fixture.shell('true', { cwd: '/', mounts }), target).rejects.toMatchObject({
      code: 'invalid_request',
    });
  }
  for (const name of ['LD_PRELOAD', 'BASH_ENV', 'A B', 'X=Y', '']) {
    await expect(fixture.shell('true', { env: { [name]: 'x' } })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  }
  const missing = [{ source: join(fixture.folder, 'missing'), target: '/workspace', mode: 'read' } as const];
  await expect(fixture.shell('true', { mounts: missing })).rejects.toThrow(
    /could not be made: bwrap: .*missing/,
  );
});
