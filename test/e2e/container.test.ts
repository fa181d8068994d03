import { describe, expect, test } from 'vitest';
import type { Finding } from '../../contract/system.ts';
import { startTestEngine } from '../../server/computers/container/test-engine.ts';
import { commit, House, mendedSum, shell, toDelivery, toWork, write } from './house.ts';

const engine = await startTestEngine();

if (typeof engine === 'string') describe.skip(`a task in containers (not tried: ${engine})`);
else {
  test('a task goes from its start to a change with a receipt, each command in a container', async () => {
    await using _engine = engine;
    const sandbox = { driver: 'container', image: engine.image, engine: engine.socketPath } as const;
    await using house = await House.open({ sandbox });
    const { task, run } = await house.start([
      ...toWork,
      write('src/sum.js', mendedSum),
      shell('npm test && hostname && whoami'),
      { ...commit, contains: ['sandbox', 'agent'] },
      ...toDelivery.slice(1),
    ]);
    const rest = await house.rest(run.id);
    expect([rest.run.status, rest.run.sandbox, rest.ask]).toEqual(['succeeded', 'container', null]);
    const [change] = await house.changes(task.id);
    expect(change?.receipt.verdict).toBe('passed');
    const { findings } = await house.ask<{ findings: Finding[] }>('GET', '/doctor');
    expect(findings.find(({ name }) => name === 'sandbox')?.detail).toContain(engine.image);
  }, 180_000);
}
