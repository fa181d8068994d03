/** Every npm script goes through here, so that each works in a fresh clone: set up first, then run with Node 24. */
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { ensureWeb } from './build-web.mjs';
import { root, run } from './node24.mjs';
import { explain, setup, tell } from './setup.mjs';

const [verb = '', ...rest] = process.argv.slice(2);
try {
  process.exitCode = await start(verb, rest);
} catch (error) {
  process.exitCode = explain(error);
}

async function start(name, args) {
  if (name === 'bench' || name === 'campaign') return startNamed(name, args);
  const programs = {
    setup: [],
    start: [['server/main.ts', ...args]],
    demo: [['cli/demo.ts', ...args]],
    test: [['node_modules/vitest/vitest.mjs', 'run', ...args]],
    check: [
      ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
      ['node_modules/typescript/bin/tsc', '-p', '.'],
      ['node_modules/typescript/bin/tsc', '-p', 'web'],
      ['node_modules/knip/bin/knip.js'],
      ['node_modules/vitest/vitest.mjs', 'run', ...args],
    ],
  };
  const lines = programs[name];
  if (lines === undefined) {
    process.stderr.write(
      `no script "${name}"; there are ${Object.keys(programs).join(', ')}, bench, campaign\n`,
    );
    return 2;
  }
  const node = await setup({ tests: name === 'test' || name === 'check' });
  await ensureWeb(node, tell);
  return runAll(node, lines);
}

/** `bench X` is bench/X.ts, with the packages of bench/; `campaign X` is test/X/campaign.ts. */
async function startNamed(kind, [name, ...args]) {
  const file = (each) => (kind === 'bench' ? `bench/${each}.ts` : `test/${each}/campaign.ts`);
  if (name === undefined || !/^[a-z0-9-]+$/.test(name) || !existsSync(join(root, file(name)))) {
    const names = readdirSync(join(root, kind === 'bench' ? 'bench' : 'test'))
      .map((entry) => entry.replace(/\.ts$/, ''))
      .filter((entry) => existsSync(join(root, file(entry))));
    process.stderr.write(`say which: npm run ${kind} -- ${names.join(' | ') || '(none yet)'}\n`);
    return 2;
  }
  const needsPackages = kind === 'bench' && existsSync(join(root, 'bench', 'package-lock.json'));
  const node = await setup({ tests: true, folders: needsPackages ? ['bench'] : [] });
  return runAll(node, [[file(name), ...args]]);
}

async function runAll(node, lines) {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
  for (const [program, ...args] of lines) {
    if (lines.length > 1) process.stderr.write(`\n> ${[program.split('/').pop(), ...args].join(' ')}\n`);
    const code = await run(node, [join(root, program), ...args], { cwd: root, env });
    if (code !== 0) return code;
  }
  return 0;
}
