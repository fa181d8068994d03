import { raw } from '../server/database/sql.ts';
import type { ClaimContender } from './contenders/claim-contender.ts';
import { openClaims } from './contenders/claims.ts';
import { openGraphileWorker } from './contenders/graphile-worker.ts';
import { openPgBoss } from './contenders/pg-boss.ts';
import { atLeast, report, rounded } from './measure/report.ts';
import { median } from './measure/statistics.ts';
import { startStore } from './measure/store.ts';

const rounds = 5;
const singly = 200;
const inBatches = 2_000;
const batch = 200;
/** Added to each commit that waits for the disk, as an ordinary disk has it. */
const slowDiskMicros = 3_000;

await using store = await startStore();
await using stack = new AsyncDisposableStack();
const { connection } = store;
const ours = stack.use(await openClaims(store, { name: 'ours, in turns', batch: 1, way: 'inTurns' }));
const apart = stack.use(await openClaims(store, { name: 'ours, in two calls', batch: 1, way: 'apart' }));
const pgBoss = stack.use(await openPgBoss(connection, { name: 'pg-boss', batch: 1 }));
const graphile = stack.use(await openGraphileWorker(connection, { name: 'graphile-worker', batch: 1 }));
const oursBatched = stack.use(await openClaims(store, { name: 'ours, batched', batch, way: 'sideBySide' }));
const turnsBatched = stack.use(
  await openClaims(store, { name: 'ours, batched in turns', batch, way: 'inTurns' }),
);
const pgBossBatched = stack.use(await openPgBoss(connection, { name: 'pg-boss, batched', batch }));
const graphileBatched = stack.use(
  await openGraphileWorker(connection, { name: 'graphile-worker, batched', batch }),
);
const one = [ours, apart, pgBoss, graphile];
const many = [oursBatched, turnsBatched, pgBossBatched, graphileBatched];

const plain = await measure([
  ...one.map((contender) => ({ contender, tasks: singly })),
  ...many.map((contender) => ({ contender, tasks: inBatches })),
]);
await delayCommits(slowDiskMicros);
const slow = await measure(one.map((contender) => ({ contender, tasks: singly })));
await delayCommits(0);

const rows = [...one, ...many].map(({ name }) => ({
  contender: name,
  'ms a task': rounded(median(plain.get(name) ?? [])),
  'a second': Math.round(1_000 / median(plain.get(name) ?? [])),
  'ms a task, 3 ms a commit': slow.has(name) ? rounded(median(slow.get(name) ?? [])) : '',
}));
report('claim', rows, [
  atLeast('pg-boss against ours in turns, one at a time', ratio(plain, pgBoss, ours), 2, 'x'),
  atLeast('the same, with 3 ms a commit', ratio(slow, pgBoss, ours), 2, 'x'),
  atLeast('pg-boss against ours in two calls, one at a time', ratio(plain, pgBoss, apart), 2, 'x'),
  atLeast('the same in two calls, with 3 ms a commit', ratio(slow, pgBoss, apart), 2, 'x'),
  atLeast('graphile-worker in batches against ours', ratio(plain, graphileBatched, oursBatched), 0.5, 'x'),
]);

/** Everybody in turn, so that what else the machine does falls on all alike. */
async function measure(
  contenders: { contender: ClaimContender; tasks: number }[],
): Promise<Map<string, number[]>> {
  const times = new Map(contenders.map(({ contender }) => [contender.name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const { contender, tasks } of contenders) {
      await contender.fill(tasks);
      await store.allNumbered();
      const took = await contender.drain(tasks);
      // The first round warms up.
      if (round > 0) times.get(contender.name)?.push(took);
    }
    console.log(`round ${round} of ${rounds}`);
  }
  return times;
}

/** How many times as long the first takes: the median over the rounds of each round's own ratio. */
function ratio(times: Map<string, number[]>, first: ClaimContender, second: ClaimContender): number {
  const theirs = times.get(second.name) ?? [];
  return median((times.get(first.name) ?? []).map((value, round) => value / (theirs[round] ?? Number.NaN)));
}

async function delayCommits(micros: number): Promise<void> {
  await using session = await store.database.session();
  await session.many(raw(`ALTER SYSTEM SET commit_delay = ${micros}`));
  await session.many(raw('ALTER SYSTEM SET commit_siblings = 0'));
  await session.many(raw('SELECT pg_reload_conf()'));
}
