import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { SystemView } from './bubblewrap-arguments.ts';
import { buildSeccompProgram } from './seccomp.ts';

/**
 * What programs need of /etc, none of it secret. It is copied at the start: one mount instead of twenty keeps
 * a command's start short. Folders of many links are mounted after all, because copying them takes half a second.
 */
const mountedOfEtc = ['alternatives', 'ssl/certs', 'pki/tls/certs', 'pki/ca-trust/extracted'];
const neededOfEtc = [
  /^ld\.so\.(cache|conf|conf\.d)$/,
  /^(localtime|timezone|os-release|debian_version|protocols|services|mime\.types|terminfo)$/,
  /^(python3|python3\.\d+|java-\d+-openjdk|crypto-policies)$/,
];
const neededBelowEtc = ['ssl/openssl.cnf', 'ssl/cert.pem'];

const writtenToEtc = {
  passwd: [
    'root:x:0:0:root:/nonexistent:/usr/sbin/nologin',
    'agent:x:1000:1000:agent:/home/agent:/bin/sh',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  ],
  group: ['root:x:0:', 'agent:x:1000:', 'nogroup:x:65534:'],
  hosts: ['127.0.0.1 localhost sandbox', '::1 localhost'],
  'resolv.conf': [],
  'nsswitch.conf': ['passwd: files', 'group: files', 'hosts: files dns'],
};

/** Settings of the machine's npm, which may hold tokens. */
const hiddenFiles = ['/usr/etc/npmrc', '/usr/local/etc/npmrc'];

/**
 * Writes what commands see of the machine into `folder` (private to this server) and says how it is mounted.
 * @param folder empty; holds `etc`, `empty` and, where the processor is known, `seccomp` afterwards
 */
export function prepareSystem(folder: string, node = process.execPath): SystemView {
  const etc = join(folder, 'etc');
  writeEtc(etc);
  const mountedFolders = mountedOfEtc.map((name) => join('/etc', name)).filter(existsSync);
  for (const path of mountedFolders) mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'empty'), '');
  const seccomp = buildSeccompProgram(process.arch);
  if (seccomp) writeFileSync(join(folder, 'seccomp'), seccomp);
  const nameService = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'].filter(existsSync);
  return {
    binds: [
      ...['--ro-bind', '/usr', '/usr', ...rootFolders(), '--ro-bind', etc, '/etc'],
      ...mountedFolders.flatMap((path) => ['--ro-bind', path, path]),
      ...hiddenFiles.filter(existsSync).flatMap((file) => ['--ro-bind', join(folder, 'empty'), file]),
      ...toolchain(node),
    ],
    procBinds: readOnlyProc(),
    openNetworkBinds: nameService.flatMap((file) => ['--ro-bind', realpathSync(file), file]),
    path: [
      ...['/opt/node/bin', '/usr/local/bin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'],
      ...['/usr/local/go/bin'].filter(existsSync),
    ].join(':'),
    seccomp: seccomp !== undefined,
  };
}

/**
 * The kernel lets the machine's root write its settings by owner alone, without a capability, and where the
 * server is root, so is the command behind its mapped number. bwrap covers bus, irq and sysrq-trigger, not /proc/sys:
 * /proc/sys/kernel/core_pattern is enough to run a program outside. Hence every part with a writable file is covered.
 */
function readOnlyProc(): string[] {
  return listWritableProc().flatMap((path) => ['--ro-bind', path, path]);
}

/** The parts of /proc that hold a writable file, besides bus, irq and sysrq-trigger. */
export function listWritableProc(): string[] {
  const names = readdirSync('/proc').filter(
    (name) => !/^(\d+|self|thread-self|net|mounts|bus|irq|sysrq-trigger)$/.test(name),
  );
  return names.map((name) => `/proc/${name}`).filter((path) => holdsWritable(path));
}

function holdsWritable(path: string, depth = 6): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats || stats.isSymbolicLink()) return false;
  if (!stats.isDirectory()) return (stats.mode & 0o222) !== 0;
  if (depth === 0) return true;
  try {
    return readdirSync(path).some((name) => holdsWritable(join(path, name), depth - 1));
  } catch (error) {
    // A folder that we may not list: it is covered whole.
    if (error instanceof Error && 'code' in error) return true;
    throw error;
  }
}

/** /bin and the like: links into /usr on most systems, folders of their own on others. */
function rootFolders(): string[] {
  const names = readdirSync('/').filter((name) => /^(bin|sbin|lib[^/]*)$/.test(name));
  return names.flatMap((name) => {
    const path = `/${name}`;
    return lstatSync(path).isSymbolicLink()
      ? ['--symlink', readlinkSync(path), path]
      : ['--ro-bind', path, path];
  });
}

/** Our own Node first on the PATH, with an npm where the system's folders hold none. */
function toolchain(node: string): string[] {
  const binds = ['--ro-bind', realpathSync(node), '/opt/node/bin/node'];
  const npm = findNpm(node);
  if (!npm) return binds;
  const target = '/opt/node/lib/node_modules/npm';
  const link = (name: string) => [
    '--symlink',
    `../lib/node_modules/npm/bin/${name}-cli.js`,
    `/opt/node/bin/${name}`,
  ];
  return [...binds, '--ro-bind', npm, target, ...link('npm'), ...link('npx')];
}

/** The folder of an npm that the system's folders do not show already; undefined if /usr brings one. */
function findNpm(node: string): string | undefined {
  const system = ['/usr/local/bin/npm', '/usr/bin/npm'].some(existsSync);
  const found = system ? npmBeside(node) : locateNpm(node);
  return found && !found.startsWith('/usr/') ? found : undefined;
}

/** The folder of the npm that belongs to our Node, else of the first whole one on the PATH. */
export function locateNpm(node: string): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'npm'));
  const folders = onPath.filter(existsSync).map(npmFolderOf);
  return (
    npmBeside(node) ?? folders.find((folder) => isNpm(folder) && existsSync(join(folder, 'node_modules')))
  );
}

function npmBeside(node: string): string | undefined {
  const folder = join(dirname(dirname(realpathSync(node))), 'lib/node_modules/npm');
  return isNpm(folder) ? folder : undefined;
}

const isNpm = (folder: string) => existsSync(join(folder, 'bin/npm-cli.js'));

/** …/npm/bin/npm-cli.js, behind however many links. */
const npmFolderOf = (program: string) => dirname(dirname(realpathSync(program)));

function writeEtc(etc: string): void {
  mkdirSync(etc, { recursive: true });
  const names = readdirSync('/etc').filter((name) => neededOfEtc.some((pattern) => pattern.test(name)));
  for (const name of [...names, ...neededBelowEtc]) {
    const source = join('/etc', name);
    if (!existsSync(source)) continue;
    mkdirSync(dirname(join(etc, name)), { recursive: true });
    cpSync(source, join(etc, name), { recursive: true, verbatimSymlinks: true, filter: isReadable });
  }
  for (const [name, lines] of Object.entries(writtenToEtc)) {
    writeFileSync(join(etc, name), lines.map((line) => `${line}\n`).join(''));
  }
}

function isReadable(path: string): boolean {
  if (lstatSync(path).isSymbolicLink()) return true;
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') return false;
    throw error;
  }
}
