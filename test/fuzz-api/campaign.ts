/** `npm run campaign -- fuzz-api [REQUESTS] [SEED]`: many requests made from the schemas, in rounds of fresh servers. */
import { setup, teardown } from '../global-setup.ts';
import { type FuzzReport, fuzz } from './fuzz.ts';
import { openPopulatedHouse } from './populated-house.ts';

const perRound = 5_000;
const requests = Number(process.argv[2] ?? 20_000);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);

await setup();
try {
  const failures: string[] = [];
  for (let done = 0; done < requests; done += perRound) {
    const report = await runRound(Math.min(perRound, requests - done), seed + done);
    failures.push(...report.failures);
    const statuses = Object.entries(report.byStatus).map(([status, count]) => `${status}: ${count}`);
    console.log(
      `seed ${seed + done}: ${report.requests} requests, ${report.succeeded} of ${report.operations} operations succeeded; ${statuses.join(', ')}`,
    );
  }
  console.log(
    failures.length === 0
      ? `${requests} requests, no fault of the server`
      : failures.slice(0, 20).join('\n\n'),
  );
  if (failures.length > 0) process.exitCode = 1;
} finally {
  await teardown();
}

async function runRound(count: number, roundSeed: number): Promise<FuzzReport> {
  const { house, target } = await openPopulatedHouse();
  await using _ = house;
  return await fuzz(target, { requests: count, seed: roundSeed });
}
