/**
 * `node scripts/complete-lock.mjs [FOLDER]`: run after a change of dependencies. A registry that does not carry the
 * builds of every platform makes npm leave them out of the lockfile, which `npm ci` then refuses as out of date.
 * The missing ones are entered with their pinned version and platform; they are never installed where they do not fit.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const processors = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
];

const file = join(process.argv[2] ?? '.', 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const { '': project, ...packages } = lock.packages;
let added = 0;
for (const [path, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (packages[`node_modules/${name}`] ?? packages[`${path}/node_modules/${name}`]) continue;
    packages[`node_modules/${name}`] = placeholder(name, version, entry.dev);
    added++;
  }
}
const sorted = Object.entries(packages).sort(([one], [other]) => (one < other ? -1 : 1));
lock.packages = { '': project, ...Object.fromEntries(sorted) };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added} entries added to ${file}\n`);

function placeholder(name, version, dev) {
  const words = name.split(/[/-]/);
  const fitting = (known) => known.filter((each) => words.includes(each));
  const [os, cpu] = [fitting(systems), fitting(processors)];
  return {
    version: version.replace(/^[~^]/, ''),
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(words.includes('musl') && { libc: ['musl'] }),
    optional: true,
    // Of a build for no system in particular (wasm) nothing is lost where a native one is there.
    os: os.length > 0 ? os : ['none'],
  };
}
