import { afterAll, describe } from 'vitest';
import { describeSandboxContract } from '../sandbox-contract.testsuite.ts';
import { openContainerSandbox } from './container-sandbox.ts';
import { startTestEngine } from './test-engine.ts';

const engine = await startTestEngine();
/** As a server that is not root has it: its own number. */
const user = { uid: 1000, gid: 1000 };

if (typeof engine === 'string') describe.skip(`sandbox contract: container (not tried: ${engine})`);
else {
  afterAll(() => engine[Symbol.asyncDispose]());
  const settings = { engine: engine.socketPath, image: engine.image };
  describeSandboxContract({
    name: 'container',
    open: (options) => openContainerSandbox({ ...options, settings, user }),
    user,
    limitsWhole: true,
    missingSource: /could not be made: .*missing/,
  });
}
