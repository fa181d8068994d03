import { PgBoss } from 'pg-boss';
import { type Connection, connectionStringOf } from '../../server/database/connection.ts';
import type { ClaimContender } from './claim-contender.ts';

/** Its fetch and complete, called directly; its own upkeep rests, so that it costs it nothing. */
export async function openPgBoss(
  connection: Connection,
  options: { name: string; batch: number },
): Promise<ClaimContender> {
  const schema = `pgboss_${options.batch}`;
  const boss = new PgBoss({
    connectionString: connectionStringOf(connection),
    schema,
    supervise: false,
    schedule: false,
    max: 2,
  });
  await boss.start();
  await boss.createQueue('bench');
  return {
    name: options.name,
    async fill(tasks) {
      await boss.insert(
        'bench',
        Array.from({ length: tasks }, () => ({ data: { ok: true } })),
      );
    },
    async drain(tasks) {
      const began = performance.now();
      for (let done = 0; done < tasks; ) {
        const jobs = await boss.fetch('bench', { batchSize: options.batch });
        if (jobs.length === 0) throw new Error('pg-boss has no job left');
        await boss.complete(
          'bench',
          jobs.map(({ id }) => id),
          { ok: true },
        );
        done += jobs.length;
      }
      return (performance.now() - began) / tasks;
    },
    [Symbol.asyncDispose]: () => boss.stop({ graceful: false }),
  };
}
