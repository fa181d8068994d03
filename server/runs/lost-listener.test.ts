import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { sql } from '../database/sql.ts';
import { openLog } from '../log.ts';
import { seedRun, Told } from './runs-fixture.ts';
import { type Driver, Worker } from './worker.ts';

let told: Told;
beforeAll(async () => {
  told = await Told.open();
});
afterAll(() => told[Symbol.asyncDispose]());

/** The one that was cut before may just be coming back. */
async function cutListeners(): Promise<void> {
  for (let cut = 0; cut === 0; ) {
    const rows = await told.database.many(
      sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`,
    );
    cut = rows.length;
  }
}

test('a run is taken a second late at the most where the connection that hears of it was cut', async () => {
  const driven = new Map<string, (at: number) => void>();
  const driver: Driver = async ({ run }) => {
    driven.get(run.runId)?.(performance.now());
    return { kind: 'end', status: 'succeeded', outcome: 'done' };
  };
  await using worker = new Worker({
    id: 'wrk_listener',
    database: told.database,
    clock: systemClock,
    log: openLog('silent'),
    sandbox: 'bubblewrap',
    drivers: { task: driver, merge: driver, revert: driver, push: driver },
    giveUp: async () => undefined,
    capacity: 1,
    leaseSeconds: 3_600,
  });
  // Made before the worker is there: what is measured begins with the wake.
  const runs = await Promise.all(Array.from({ length: 3 }, () => seedRun(told.database)));
  const ids = runs.map(({ runId }) => runId);
  await told.database.many(sql`UPDATE runs SET wake_at = NULL WHERE id = ANY(${ids}::text[])`);
  await worker.start();
  for (const id of ids) {
    const took = Promise.withResolvers<number>();
    driven.set(id, took.resolve);
    await cutListeners();
    await told.database.many(sql`UPDATE runs SET wake_at = now() WHERE id = ${id}`);
    const due = performance.now();
    // The worker's poll is 0.9 s; what a loaded machine adds to it is not the connection's doing.
    expect((await took.promise) - due).toBeLessThan(1_500);
  }
});
