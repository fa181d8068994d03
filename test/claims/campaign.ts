import { createTestDatabase } from '../../server/database/test-database.ts';
import { setup, teardown } from '../global-setup.ts';
import { contend } from './contention.ts';

/** 200 agents, 10,000 tasks, and every fiftieth claim is never heard of again. Options: `--agents N`, `--tasks N`. */
async function campaign(argv: readonly string[]): Promise<boolean> {
  const given = (name: string, otherwise: number) =>
    argv.includes(name) ? Number(argv[argv.indexOf(name) + 1]) : otherwise;
  const tasks = given('--tasks', 10_000);
  await using home = await createTestDatabase({ poolSize: 40 });
  const outcome = await contend(home.database, {
    agents: given('--agents', 200),
    tasks,
    vanishing: 0.02,
    leaseSeconds: 15,
    limitMs: 1_800_000,
  });
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  return outcome.completed === tasks && outcome.notOnce === 0 && outcome.acknowledged === tasks;
}

await setup();
try {
  process.exitCode = (await campaign(process.argv.slice(2))) ? 0 : 1;
} finally {
  await teardown();
}
