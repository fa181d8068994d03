import { Logger, type RunnerOptions, runMigrations, runOnce } from 'graphile-worker';
import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { median } from '../measure/statistics.ts';
import type { ClaimContender } from './claim-contender.ts';

/** One worker over jobs that do nothing, without the time that starting it takes. */
export async function openGraphileWorker(
  connection: Connection,
  options: { name: string; batch: number },
): Promise<ClaimContender> {
  const schema = `graphile_${options.batch}`;
  const pgPool = new pg.Pool({ ...connection, max: 10 });
  pgPool.on('error', () => undefined);
  const batched = options.batch > 1;
  const settings: RunnerOptions = {
    pgPool,
    noHandleSignals: true,
    taskList: { bench: () => Promise.resolve() },
    preset: {
      worker: {
        schema,
        concurrentJobs: batched ? 24 : 1,
        ...(batched
          ? { localQueue: { size: options.batch }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
          : {}),
      },
    },
    logger: new Logger(() => () => undefined),
  };
  await runMigrations(settings);
  const time = async () => {
    const began = performance.now();
    await runOnce(settings);
    return performance.now() - began;
  };
  const starts: number[] = [];
  for (let count = 0; count < 5; count++) starts.push(await time());
  return {
    name: options.name,
    async fill(tasks) {
      await pgPool.query(
        `SELECT count(*) FROM ${schema}.add_jobs(ARRAY(SELECT json_populate_record(null::${schema}.job_spec,
           '{"identifier": "bench", "payload": {}}'::json) FROM generate_series(1, $1::integer)))`,
        [tasks],
      );
    },
    async drain(tasks) {
      const took = await time();
      return Math.max(took - median(starts), 0) / tasks;
    },
    [Symbol.asyncDispose]: () => pgPool.end(),
  };
}
