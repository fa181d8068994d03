/** Makes client/dist, which `mission-control/client` names: Node strips no types inside of node_modules. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureNode24, root, run, SetupError } from './node24.mjs';

/** @param {string} node the path of a Node ≥ 24; @param {string} folder where to */
export async function buildClient(node, folder) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  rmSync(folder, { recursive: true, force: true });
  const code = await run(node, [tsc, '-p', 'client', '--outDir', folder], { cwd: root });
  if (code !== 0) throw new SetupError('the client could not be built; see above');
  // The compiler rewrites what scripts import, and leaves in declarations what was written.
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue;
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(/(from|import\()(\s*)(['"])(\.[^'"]*)\.ts\3/g, '$1$2$3$4.js$3'));
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await buildClient(await ensureNode24(() => undefined), join(root, 'client', 'dist'));
}
