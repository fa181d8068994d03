/**
 * Plain JavaScript that any Node from 18 on can run: it finds or brings the Node.js that everything else needs.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withSetupLock } from './setup-lock.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wantedMajor = 24;

/** A failure that a person can mend; `message` says how. Printed without a stack. */
export class SetupError extends Error {}

/**
 * The path of a Node ≥ 24: the running one where it is new enough, else the one of `toolchain/`, installed there at need.
 * @param {(line: string) => void} say progress, for people
 * @returns {Promise<string>}
 * @throws {SetupError}
 */
export async function ensureNode24(say) {
  if (Number.parseInt(process.versions.node, 10) >= wantedMajor) return process.execPath;
  const packageName = `node-${process.platform}-${process.arch}`;
  const locked = lockedVersion(packageName);
  if (locked === null) {
    throw new SetupError(
      `Mission Control needs Node ${wantedMajor}; this is ${process.version}, and npm has no build of it for ${process.platform}-${process.arch} in toolchain/. Install Node ${wantedMajor} from https://nodejs.org and start again.`,
    );
  }
  const folder = join(root, 'toolchain', 'node_modules', packageName);
  const binary = join(folder, 'bin', 'node');
  if (installedVersion(folder) === locked && existsSync(binary)) return binary;
  await withSetupLock(root, say, async () => {
    if (installedVersion(folder) === locked && existsSync(binary)) return;
    say(`Node ${process.version} is too old; fetching Node ${locked} from npm into toolchain/`);
    await npmCi(join(root, 'toolchain'));
    // npm does not tell when it could not fetch an optional package; this one is optional for the sake of other platforms.
    if (!existsSync(binary)) await npmCi(join(root, 'toolchain'));
    if (!existsSync(binary)) {
      throw new SetupError(
        `npm could not fetch ${packageName} ${locked}. See that it reaches its registry (npm ping), or install Node ${wantedMajor} from https://nodejs.org, and start again.`,
      );
    }
    const answer = await run(binary, ['--version'], { stdio: 'ignore' }).catch(() => 127);
    if (answer !== 0) {
      throw new SetupError(
        `Node ${locked} was fetched but does not run on this machine (it is built for glibc). Install Node ${wantedMajor} from https://nodejs.org and start again.`,
      );
    }
  });
  return binary;
}

/**
 * `npm ci` of one folder without any package's scripts.
 * @param {string} folder
 */
export async function npmCi(folder) {
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const code = await run('npm', ['ci', '--prefix', folder, ...options], {
    cwd: folder,
    stdio: ['ignore', 2, 'inherit'],
    env: withoutNpmSettings(),
  }).catch((error) => {
    if (error.code === 'ENOENT')
      throw new SetupError('npm was not found; install it beside Node and start again.');
    throw error;
  });
  if (code !== 0) {
    throw new SetupError(`npm could not install the packages of ${folder}; its own words are above.`);
  }
}

/**
 * Runs a program to its end and passes signals on.
 * @returns {Promise<number>} its exit status, 128 + n where signal n ended it
 */
export function run(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    // A terminal gives Ctrl-C to the whole foreground group; a second copy from here would read as impatience.
    const onInterrupt = () => {
      if (!process.stdin.isTTY) child.kill('SIGINT');
    };
    process.on('SIGINT', onInterrupt);
    process.on('SIGTERM', forward);
    process.on('SIGHUP', forward);
    const forget = () => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', forward);
      process.off('SIGHUP', forward);
    };
    child.once('error', (error) => {
      forget();
      reject(error);
    });
    child.once('exit', (code, signal) => {
      forget();
      resolve(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** npm hands its own settings to scripts; an install inside a script must not inherit the outer one's. */
function withoutNpmSettings() {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^npm_(?:package|lifecycle|command)/.test(name)) env[name] = value;
  }
  return env;
}

function lockedVersion(packageName) {
  const lock = JSON.parse(readFileSync(join(root, 'toolchain', 'package-lock.json'), 'utf8'));
  return lock.packages[`node_modules/${packageName}`]?.version ?? null;
}

function installedVersion(folder) {
  const manifest = join(folder, 'package.json');
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : null;
}
