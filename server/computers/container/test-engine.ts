import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { messageOf } from '../../errors.ts';
import { openEngine } from './engine.ts';

const run = promisify(execFile);

export interface TestEngine extends AsyncDisposable {
  socketPath: string;
  image: string;
}

const program = '/usr/sbin/dockerd';
const readyLimitMs = 30_000;
const image = 'mission-test:base';

/** What the image holds, with all that these need. */
const packages = [
  ...['bash', 'coreutils', 'dash', 'findutils', 'grep', 'sed', 'mawk', 'procps', 'util-linux', 'diffutils'],
  ...[
    'gzip',
    'tar',
    'hostname',
    'libc-bin',
    'base-files',
    'git',
    'ripgrep',
    'libstdc++6',
    'mount',
    'openssh-client',
  ],
];
/** Of no use without a network or a person, and half of the whole. */
const leftOut = /^(perl|perl-modules.*|libperl.*|liberror-perl|git-man|debconf|dpkg|init-system-helpers)$/;

/**
 * A Docker engine of the test's own: on a private socket, in a private folder, with an image made of this machine's own
 * packages, since no registry can be counted on.
 * @returns why not, in a sentence, where this machine cannot run one
 */
export async function startTestEngine(): Promise<TestEngine | string> {
  if (!existsSync(program)) return 'no container engine: apt-get install docker.io';
  if (process.getuid?.() !== 0) return 'the container engine of the tests must be started by root';
  const folder = await mkdtemp(join(tmpdir(), 'engine-test-'));
  const socketPath = join(folder, 'engine.sock');
  const child = startDaemon(folder, socketPath);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await Promise.race([once(child, 'exit'), delay(15_000, undefined, { ref: false })]);
      child.kill('SIGKILL');
    }
    // The engine leaves the mount of its own network namespace behind.
    const mounts = await readFile('/proc/self/mounts', 'utf8');
    const left = mounts.split('\n').flatMap((line) => line.split(' ')[1] ?? []);
    for (const path of left.filter((each) => each.startsWith(`${folder}/`)).reverse())
      await run('umount', [path]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (!(await answers(child, socketPath))) {
      const log = await readFile(join(folder, 'log'), 'utf8');
      await stop();
      return `the container engine does not start on this machine: ${lastComplaint(log)}`;
    }
    // Servers of other users reach it too.
    await chmod(folder, 0o711);
    await chmod(socketPath, 0o666);
    await importImage(socketPath);
    const complaint = await tryContainer(socketPath);
    if (complaint !== null) {
      await stop();
      return `no container starts on this machine: ${complaint}`;
    }
    return { socketPath, image, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startDaemon(folder: string, socketPath: string): ChildProcess {
  const options = [
    ...['-H', `unix://${socketPath}`, '--pidfile', join(folder, 'pid')],
    ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
    ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--userland-proxy=false'],
    ...['--default-ulimit', 'nofile=4096:4096', '--shutdown-timeout', '1'],
  ];
  const line = `exec setpriv --pdeathsig TERM "$@" > '${join(folder, 'log')}' 2>&1`;
  return spawn('/bin/sh', ['-c', line, 'sh', program, ...options], { stdio: 'ignore', detached: true });
}

async function answers(child: ChildProcess, socketPath: string): Promise<boolean> {
  const engine = openEngine(socketPath);
  const deadline = performance.now() + readyLimitMs;
  while (child.exitCode === null && performance.now() < deadline) {
    const answer = await engine.ping().catch((error: unknown) => {
      if (error instanceof Error && 'code' in error) return undefined;
      throw error;
    });
    if (answer) return true;
    await delay(50);
  }
  return false;
}

function lastComplaint(log: string): string {
  const lines = log.trim().split('\n');
  return (
    lines.findLast((line) => /level=(error|fatal)|failed/.test(line)) ?? lines.at(-1) ?? 'it said nothing'
  );
}

async function importImage(socketPath: string): Promise<void> {
  const files = await listFiles(await withNeeded(packages));
  const archive = spawn('tar', ['-c', '-C', '/', '--no-recursion', '--null', '-T', '-'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(archive, 'close');
  archive.stdin.end(files.map((file) => `${file}\0`).join(''));
  const engine = openEngine(socketPath);
  const [repo, tag] = image.split(':');
  const progress = await engine.importImage(archive.stdout, { fromSrc: '-', repo, tag });
  progress.resume();
  await once(progress, 'end');
  await ended;
}

/** The engine's own complaint where not even an empty container runs; what ours then do is for the tests to judge. */
async function tryContainer(socketPath: string): Promise<string | null> {
  const engine = openEngine(socketPath);
  try {
    const container = await engine.createContainer({
      Image: image,
      Cmd: ['true'],
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    await container.wait();
    await container.remove();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Packages with everything that they depend on, of those that are installed. */
async function withNeeded(wanted: string[]): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the fields of dpkg-query
  const format = '${Package}\\t${Provides}\\t${Depends}, ${Pre-Depends}\\n';
  const { stdout } = await run('dpkg-query', ['-W', '-f', format], { maxBuffer: 2 ** 26 });
  const needs = new Map<string, string[]>();
  const namesIn = (text: string) => text.split(',').map((name) => name.trim().split(/[ (:]/)[0] ?? '');
  for (const line of stdout.split('\n')) {
    const [name = '', provided = '', depends = ''] = line.split('\t');
    const needed = namesIn(depends.replaceAll('|', ','));
    for (const each of [name, ...namesIn(provided)]) needs.set(each, each === name ? needed : [name]);
  }
  const found = new Set<string>();
  const take = (name: string) => {
    if (found.has(name) || leftOut.test(name) || !needs.has(name)) return;
    found.add(name);
    for (const each of needs.get(name) ?? []) take(each);
  };
  for (const name of wanted) take(name);
  return [...found];
}

async function listFiles(names: string[]): Promise<string[]> {
  const listed = await Promise.all(
    names.map((name) => run('dpkg', ['-L', name], { maxBuffer: 2 ** 26 }).catch(nothing)),
  );
  const files = listed
    .flatMap(({ stdout }) => stdout.split('\n'))
    .filter(
      (file) =>
        /^\/(bin|sbin|lib|usr|etc)/.test(file) && !/^\/usr\/share\/(doc|man|info|locale|lintian)/.test(file),
    )
    // The folders at the root are links into /usr, and so are they in the image.
    .map((file) => file.replace(/^\/(bin|sbin|lib|lib64)\//, 'usr/$1/').replace(/^\//, ''))
    .filter((file) => !/^(bin|sbin|lib|lib64)$/.test(file));
  const rest = [
    'bin',
    'sbin',
    'lib',
    'lib64',
    'etc',
    'tmp',
    'home',
    'usr/bin/awk',
    'etc/alternatives/awk',
    'etc/ld.so.cache',
  ];
  return [...new Set([...rest, ...files])].filter((file) => existsSync(`/${file}`));
}

/** A virtual package has no files. */
const nothing = () => ({ stdout: '' });
