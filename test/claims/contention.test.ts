import { expect, test } from 'vitest';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { contend } from './contention.ts';

test('20 agents that want 500 tasks, and vanish with some, do each of them once', async () => {
  await using home = await createTestDatabase({ poolSize: 20 });
  const outcome = await contend(home.database, {
    agents: 20,
    tasks: 500,
    vanishing: 0.03,
    leaseSeconds: 2,
    limitMs: 90_000,
  });
  expect(outcome).toMatchObject({ completed: 500, notOnce: 0, acknowledged: 500 });
  expect(outcome.lostLeases).toBe(outcome.vanished + outcome.stale);
}, 120_000);
