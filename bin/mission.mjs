#!/usr/bin/env node
/** The command `mission`: runs on Node 18 or later, brings Node 24 at need, and hands over to the TypeScript. */
import { join } from 'node:path';
import { root, run } from '../scripts/node24.mjs';
import { explain, setup } from '../scripts/setup.mjs';

try {
  const args = process.argv.slice(2);
  // Only the server needs the machine's packages; a client must work without them.
  const node = await setup({ system: args[0] === 'up' && !args.includes('--help') });
  process.exitCode = await run(node, [join(root, 'cli', 'main.ts'), ...args]);
} catch (error) {
  process.exitCode = explain(error);
}
