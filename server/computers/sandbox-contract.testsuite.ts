import { once } from 'node:events';
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Logger } from '../log.ts';
import { describeInside } from './egress/inside.ts';
import type { Sandbox } from './sandbox.ts';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';
import { describeGate } from './sandbox-gate.testsuite.ts';
import { describeLimits } from './sandbox-limits.testsuite.ts';

/** One way of walling commands in, as the contract's tests see it. */
export interface Driver {
  name: string;
  open(options: { log: Logger; runtimeFolder: string }): Promise<Sandbox & AsyncDisposable>;
  /** Whom commands are, where that is not the server's user. */
  user?: { uid: number; gid: number };
  /** Memory and processes are limited for the whole command. */
  limitsWhole: boolean;
  /** How it names a mount whose source is missing. */
  missingSource: RegExp;
}

/** What `sandbox.ts` promises, proved on a driver through its one door. */
export function describeSandboxContract(driver: Driver): void {
  describe(`sandbox contract: ${driver.name}`, () => {
    let fixture: SandboxFixture;
    beforeAll(async () => {
      fixture = await openSandboxFixture(driver.open, driver.user);
    });
    afterAll(() => fixture[Symbol.asyncDispose]());
    const lent = () => fixture;
    describeWhatItHas(lent);
    describeFiles(lent);
    describeRefusals(lent, driver);
    describeMachine(lent);
    describeNetwork(lent);
    describeLimits(lent, driver);
    describeGate(lent);
  });
}

function describeWhatItHas(lent: () => SandboxFixture): void {
  describe('a command has', () => {
    test('its workspace, a home, /tmp, our Node and npm, and is nobody of the host', async () => {
      const { text, exitCode } = await lent().shell(
        'echo kept > file; echo x > ~/x && echo x > /tmp/x && id -u; node -p "process.versions.node"; npm --version; pwd',
      );
      const [uid, node, npm, cwd] = text.trim().split('\n');
      expect({ uid, cwd, exitCode }).toEqual({ uid: '1000', cwd: '/workspace', exitCode: 0 });
      expect(node).toBe(process.versions.node);
      expect(npm).toMatch(/^\d+\./);
      expect((await lent().shell('cat file; ls -A ~ /tmp | grep x')).text).toBe('kept\n');
    });

    test('a small environment, and the variables of the command', async () => {
      process.env.GIT_DIR = '/nowhere';
      process.env.npm_config_secret = 'hidden';
      const { text } = await lent().shell('env', { env: { ADDED: 'yes' } });
      delete process.env.GIT_DIR;
      delete process.env.npm_config_secret;
      expect(text).toContain('ADDED=yes\n');
      expect(text).toContain('HOME=/home/agent\n');
      expect(text).not.toMatch(/GIT_DIR|hidden|MISSION|VITEST|HOSTNAME/);
    });

    test('streams that can be opened by name, and no descriptor but the standard three', async () => {
      const result = await lent().shell(
        'echo out > /dev/stdout; echo err | tee /dev/stderr; ls -l /proc/self/fd',
      );
      expect(result.stderr.toString()).toBe('err\n');
      expect(result.text).toMatch(/^out\nerr\n/);
      const open = [...result.text.matchAll(/ (\d+) -> (.*)/g)].map(([, number, target]) => ({
        number,
        target,
      }));
      expect(open.slice(0, 3).map(({ number }) => number)).toEqual(['0', '1', '2']);
      // The listing's own folder, and what whoever started the server left open, which leads nowhere.
      const others = open.slice(3).filter(({ target = '' }) => !/^(\/proc\/|\/dev\/null$)/.test(target));
      expect(others).toEqual([]);
    });

    test('an input, and its end is told apart: status, signal, a missing program, a missing folder', async () => {
      expect((await lent().shell('cat', { stdin: 'from outside' })).text).toBe('from outside');
      const unread = await lent().shell('true', { stdin: 'x'.repeat(1_000_000) });
      expect(unread).toMatchObject({ exitCode: 0, signal: null, timedOut: false, outOfMemory: false });
      expect(await lent().shell('exit 7')).toMatchObject({ exitCode: 7, signal: null });
      const killed = await lent().shell('kill -SEGV $$');
      expect(killed).toMatchObject({ exitCode: null, signal: 'SIGSEGV' });
      expect(killed.stderr.toString()).toBe('');
      expect(await lent().shell('', { argv: ['no-such-program'] })).toMatchObject({ exitCode: 127 });
      await expect(lent().shell('true', { cwd: '/workspace/none' })).rejects.toMatchObject({
        code: 'sandbox_unavailable',
      });
    });
  });
}

function describeFiles(lent: () => SandboxFixture): void {
  describe('a command cannot reach', () => {
    test('files of the host', async () => {
      await writeFile(join(lent().folder, 'secret'), 'host');
      const hidden = [
        ...[join(lent().folder, 'secret'), join(process.cwd(), 'package.json'), '/etc/shadow'],
        ...['/root/.bashrc', '/etc/npmrc', '/var/run/docker.sock', '/run/docker.sock'],
      ];
      const reach = hidden.flatMap((path) => [path, `/proc/1/root${path}`, `/proc/1/cwd${path}`]);
      const { text } = await lent().shell(
        'for path; do head -c 1 "$path" > /dev/null && echo "$path"; done; ls /home',
        {
          argv: [
            '/bin/bash',
            '-c',
            'for path; do head -c 1 "$path" >/dev/null && echo "$path"; done; ls /home',
            'sh',
            ...reach,
          ],
        },
      );
      expect(text).toBe('agent\n');
      expect((await lent().shell('ls /usr/bin/env /etc/passwd /workspace -d')).exitCode).toBe(0);
    });

    test('another run', async () => {
      await lent().shell('echo mine > /tmp/left; echo mine > ~/left; echo mine > /dev/shm/left');
      expect((await lent().shell('cat /tmp/left ~/left /dev/shm/left')).text).toBe('');
    });

    test('places to write, except its own', async () => {
      const { text } = await lent().shell(
        `for path in /usr/x /etc/x /etc/passwd /x /opt/node/bin/x /dev/x /proc/sys/kernel/hostname /bin/x /proc/sys/kernel/core_pattern; do
          { echo x > $path; } 2> /dev/null && echo "$path"
        done
        find /proc -mindepth 1 -maxdepth 7 -writable ! -type l ! -path "/proc/[0-9]*" ! -path "/proc/self*" ! -path "/proc/thread-self*" 2> /dev/null | while read -r path; do [ -c "$path" ] || echo "$path"; done`,
      );
      expect(text).toBe('');
      const input = { source: lent().workspace, target: '/input', mode: 'read' } as const;
      expect((await lent().shell('touch /input/x', { cwd: '/', mounts: [input] })).exitCode).toBe(1);
    });

    test('the workspace through a folder that covers a part of it', async () => {
      await mkdir(join(lent().folder, 'given'), { recursive: true });
      await writeFile(join(lent().folder, 'given/file'), 'given');
      const mounts = [
        { source: join(lent().folder, 'given'), target: '/workspace/deep/given', mode: 'read' },
        { source: lent().workspace, target: '/workspace', mode: 'write' },
      ] as const;
      const covered = await lent().shell(
        'cat deep/given/file; touch deep/given/x; echo ok > build/x && cat build/x',
        { mounts: [...mounts], scratch: ['/workspace/build'] },
      );
      expect(covered.text).toBe('givenok\n');
      expect((await lent().shell('ls build deep/given && rm -r build deep && echo gone')).text).toMatch(
        /gone\n$/,
      );
    });

    test('files outside, through a link in the workspace', async () => {
      const { folder, workspace } = lent();
      await writeFile(join(folder, 'secret'), 'host');
      await mkdir(join(folder, 'victim'), { recursive: true });
      await symlink(join(folder, 'secret'), join(workspace, 'outward'));
      await symlink(join(folder, 'victim'), join(workspace, 'trap'));
      await symlink('/etc/passwd', join(workspace, 'passwd'));
      await writeFile(join(workspace, 'plain'), 'here');
      await symlink('plain', join(workspace, 'inward'));
      const { text } = await lent().shell(
        'cat outward; echo x > trap/x; grep -c agent:x:1000 passwd; cat inward',
      );
      expect(text).toBe('1\nhere');
      const outer = { source: workspace, target: '/workspace', mode: 'write' } as const;
      const inner = { source: folder, target: '/workspace/outward/deep', mode: 'write' } as const;
      await expect(lent().shell('true', { mounts: [outer, inner] })).rejects.toMatchObject({
        code: 'invalid_request',
      });
      const scratch = await lent()
        .shell('touch trap/deep/x', { scratch: ['/workspace/trap/deep'] })
        .catch((error: unknown) => error);
      expect(scratch).toBeDefined();
      await expect(stat(join(folder, 'victim/deep'))).rejects.toThrow(/ENOENT/);
      await expect(stat(join(folder, 'victim/x'))).rejects.toThrow(/ENOENT/);
    });
  });
}

function describeRefusals(lent: () => SandboxFixture, driver: Driver): void {
  test('what would breach the walls is refused before anything starts', async () => {
    const wrong = [
      '/',
      '/usr',
      '/usr/local/x',
      '/etc/x',
      '/lib64',
      '/opt',
      '/workspace/../etc',
      'relative',
      '/proc/1',
    ];
    for (const target of wrong) {
      const mounts = [{ source: lent().workspace, target, mode: 'write' } as const];
      await expect(lent().shell('true', { cwd: '/', mounts }), target).rejects.toMatchObject({
        code: 'invalid_request',
      });
    }
    for (const name of ['LD_PRELOAD', 'BASH_ENV', 'A B', 'X=Y', '']) {
      await expect(lent().shell('true', { env: { [name]: 'x' } })).rejects.toMatchObject({
        code: 'invalid_request',
      });
    }
    const missing = [{ source: join(lent().folder, 'missing'), target: '/workspace', mode: 'read' } as const];
    await expect(lent().shell('true', { mounts: missing })).rejects.toThrow(driver.missingSource);
  });
}

function describeMachine(lent: () => SandboxFixture): void {
  describe('a command cannot touch', () => {
    test('processes of the host', async () => {
      const { text } = await lent().shell(
        `ls /proc | grep -E "^[0-9]+$" | wc -l
        kill -0 ${process.pid} 2> /dev/null && echo host; sleep 9 & kill $! && echo own
        sleep 9 & kill -9 -1; wait 2> /dev/null; echo lived`,
      );
      const [count, ...rest] = text.trim().split('\n');
      expect(Number(count)).toBeLessThan(10);
      expect(rest).toEqual(['own', 'lived']);
    });

    test('dangerous calls of the kernel, nor gain privileges', async () => {
      const { text } = await lent().shell(
        'grep -E "^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; node -e "new (require(\'node:net\').Socket)"; find / -xdev -perm -4000 -type f -exec {} --version \\; 2>/dev/null | head -1; id -u',
      );
      for (const set of ['Eff', 'Prm', 'Bnd', 'Amb']) expect(text).toMatch(new RegExp(`Cap${set}:\\s+0+\\n`));
      expect(text).toMatch(/NoNewPrivs:\s+1\n/);
      expect(text).toMatch(/Seccomp:\s+2\n/);
      expect(text).toMatch(/unshare failed: Operation not permitted/);
      expect(text).toMatch(/mount: .*(permission denied|must be superuser)/i);
      expect(text.trim().split('\n').at(-1)).toBe('1000');
    });
  });
}

/** Says what came of a connection from inside: `reached …`, or the error's code. */
const attempt = (target: string) =>
  `require("net").connect(${target}).on("data", (d) => console.log("reached " + d)).on("error", (e) => console.log(e.code))`;

function describeNetwork(lent: () => SandboxFixture): void {
  describe('the network', () => {
    test('is none: not the host’s loopback, its sockets, an address or a name', async () => {
      const server = createServer((socket) => socket.end('host')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      const abstract = createServer((socket) => socket.end('host')).listen('\0sandbox-test-abstract');
      await once(abstract, 'listening');
      const targets = [
        `{port:${port},host:"127.0.0.1"}`,
        '{path:"\\0sandbox-test-abstract"}',
        '{port:80,host:"1.1.1.1"}',
        '{port:80,host:"169.254.169.254"}',
      ];
      const name =
        'require("dns").lookup("registry.npmjs.org",(e)=>console.log(e?"no name":"reached a name"))';
      const datagram =
        'const u=require("dgram").createSocket("udp4");u.on("error",()=>0);u.send("x",53,"1.1.1.1",(e)=>{console.log(e?"no datagram":"reached");u.close()})';
      const script = [...targets.map(attempt), name, datagram].join(';');
      const refused = await lent().shell('', { argv: ['node', '-e', script] });
      expect(refused.text).not.toContain('reached');
      expect(refused.text.trim().split('\n')).toHaveLength(targets.length + 2);
      const open = await lent().shell('', { argv: ['node', '-e', attempt(`${port}`)], network: 'open' });
      expect(open.text).toBe('reached host\n');
      server.close();
      abstract.close();
    });

    test('is its own among its processes, and no socket of the host lies in its files', async () => {
      const own = 'require("net").createServer(s=>s.end("in")).listen(4000,"127.0.0.1",()=>';
      const inside = await lent().shell('', {
        argv: ['node', '-e', `${own}${attempt('4000')}.on("close",()=>process.exit()))`],
      });
      expect(inside.text).toBe('reached in\n');
      expect((await lent().shell('find / -xdev -type s 2>/dev/null')).text).toBe('');
    });

    test('is what the session’s socket lets through, and nothing beside', async () => {
      const socketPath = join(lent().folder, 'p.sock');
      const proxy = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.on('data', (data) => {
          const [, host] = /^CONNECT (\S+)/.exec(data.toString()) ?? [];
          if (host) socket.write('HTTP/1.1 200 OK\r\n\r\n');
          else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nby proxy');
        });
      }).listen(socketPath);
      await once(proxy, 'listening');
      const authorities = join(lent().folder, 'authorities.pem');
      await writeFile(authorities, '');
      const session = describeInside(socketPath, authorities);
      const script = `fetch("http://allowed.example/x").then(async (r) => { console.log(await r.text()); ${attempt('{port:80,host:"1.1.1.1"}')} })`;
      const { text, stderr } = await lent().shell('', { argv: ['node', '-e', script], network: session });
      expect({ text, stderr: stderr.toString() }).toMatchObject({
        text: expect.stringMatching(/^by proxy\nE[A-Z]+\n$/),
      });
      proxy.close();
    });
  });
}
