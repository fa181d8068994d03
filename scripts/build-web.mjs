/** Builds the dashboard where what is built is not of the present sources. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError } from './node24.mjs';
import { withSetupLock } from './setup-lock.mjs';

const stamp = join(root, 'web', 'dist', '.stamp');
const sources = ['web', 'contract', 'package-lock.json'];
const leftOut = new Set(['dist', 'node_modules']);

/** @param {string} node the path of a Node ≥ 24; @param {(line: string) => void} say */
export async function ensureWeb(node, say) {
  const wanted = hashSources();
  if (isBuilt(wanted)) return;
  await withSetupLock(root, say, async () => {
    if (isBuilt(wanted)) return;
    say('building the dashboard');
    const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
    const code = await run(node, [vite, 'build', 'web', '--logLevel', 'warn'], {
      cwd: root,
      stdio: ['ignore', 2, 'inherit'],
    });
    if (code !== 0) throw new SetupError('the dashboard could not be built; see above');
    writeFileSync(stamp, wanted);
  });
}

function isBuilt(wanted) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function hashSources() {
  const hash = createHash('sha256');
  for (const file of sources.flatMap((source) => listFiles(source))) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function listFiles(path) {
  if (!existsSync(join(root, path))) return [];
  if (statSync(join(root, path)).isFile()) return [path];
  const entries = readdirSync(join(root, path), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  return entries
    .filter((entry) => !leftOut.has(entry.name))
    .flatMap((entry) =>
      entry.isDirectory() ? listFiles(`${path}/${entry.name}`) : [`${path}/${entry.name}`],
    );
}
