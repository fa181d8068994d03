/**
 * Makes a checkout ready to run, from nothing: Node 24, npm packages, and the programs that the sandbox needs.
 * Idempotent; when all is there it only reads a few files.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, existsSync, constants as fsConstants, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureNode24, npmCi, root, run, SetupError } from './node24.mjs';
import { withSetupLock } from './setup-lock.mjs';

/** Each Debian package that is needed, and the programs of it that are used. */
const systemPackages = [
  { name: 'git', programs: ['git'] },
  { name: 'bubblewrap', programs: ['bwrap'] },
  { name: 'util-linux', programs: ['flock', 'prlimit', 'unshare', 'setpriv'] },
];

/** What the tests need besides: real peers to speak to. */
const testPackages = [
  { name: 'openssh-client', programs: ['ssh-keygen'] },
  { name: 'openssh-server', programs: ['sshd'] },
  { name: 'procps', programs: ['ps'] },
  ...(process.env.CHROMIUM ? [] : [{ name: 'chromium', programs: ['chromium'] }]),
];

/**
 * @param {{ system?: boolean, tests?: boolean, folders?: string[], say?: (line: string) => void }} options `system`: also the
 *   machine's packages; `tests`: and those that tests need; `folders`: more folders with a lockfile, relative to the checkout
 * @returns {Promise<string>} the path of a Node ≥ 24
 * @throws {SetupError}
 */
export async function setup({ system = true, tests = false, folders = [], say = tell } = {}) {
  if (system) await ensureSystemPackages(tests ? [...systemPackages, ...testPackages] : systemPackages, say);
  const node = await ensureNode24(say);
  for (const folder of ['', ...folders])
    await ensurePackages(join(root, folder), folder || 'the project', say);
  return node;
}

/** Prints a failure of set-up as a sentence, anything else with its stack; returns the exit status. */
export function explain(error) {
  process.stderr.write(`${error instanceof SetupError ? `set-up: ${error.message}` : error.stack}\n`);
  return 1;
}

export function tell(line) {
  process.stderr.write(`set-up: ${line}\n`);
}

async function ensurePackages(folder, what, say) {
  if (arePackagesCurrent(folder)) return;
  await withSetupLock(root, say, async () => {
    if (arePackagesCurrent(folder)) return;
    say(`installing the packages of ${what} with npm ci`);
    const started = Date.now();
    await npmCi(folder);
    writeFileSync(stampFile(folder), lockHash(folder));
    say(`packages installed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  });
}

/** A stamp tells at once; without one, npm's own record of what it installed decides, so that a manual install counts. */
function arePackagesCurrent(folder) {
  const stamp = stampFile(folder);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash(folder)) return true;
  const record = join(folder, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages;
  const same = Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  );
  if (same) writeFileSync(stamp, lockHash(folder));
  return same;
}

function stampFile(folder) {
  return join(folder, 'node_modules', '.setup-stamp');
}

function lockHash(folder) {
  const lock = readFileSync(join(folder, 'package-lock.json'));
  return createHash('sha256').update(`${process.platform}-${process.arch}\n`).update(lock).digest('hex');
}

async function ensureSystemPackages(packages, say) {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !isOnPath('apt-get')) {
    const line = isOnPath('apt-get')
      ? `sudo ${install}`
      : `install ${missing.join(' and ')} with your package manager`;
    throw new SetupError(`${missing.join(', ')} missing. Run this once, then start again:\n\n  ${line}\n`);
  }
  await withSetupLock(root, say, () => aptInstall(packages, say));
}

async function aptInstall(packages, say) {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  say(`installing ${missing.join(', ')} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { env, stdio: ['ignore', 2, 'inherit'] };
  const patience = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3'];
  for (let attempt = 1; attempt <= 3; attempt++) {
    const updated = await run('apt-get', [...patience, '-qq', 'update'], quiet);
    if (updated !== 0) say('apt-get update failed; trying with what the machine knows');
    await run('apt-get', [...patience, 'install', '-y', '-qq', '--no-install-recommends', ...missing], quiet);
    if (missingPackages(packages).length === 0) return;
    say(`apt-get could not install all of it (attempt ${attempt} of 3)`);
  }
  throw new SetupError(
    `${missingPackages(packages).join(', ')} could not be installed. Run this and start again:\n\n  apt-get update && apt-get install -y ${missing.join(' ')}\n`,
  );
}

function missingPackages(packages) {
  return packages.filter(({ programs }) => !programs.every(isOnPath)).map(({ name }) => name);
}

function isOnPath(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return folders.some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(file) {
  try {
    accessSync(file, fsConstants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
    throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const node = await setup();
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
    tell(`ready (Node ${version})`);
  } catch (error) {
    process.exitCode = explain(error);
  }
}
