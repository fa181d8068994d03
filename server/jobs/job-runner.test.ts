import { expect, test } from 'vitest';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { openLog } from '../log.ts';
import { enqueueJobs } from './enqueue.ts';
import { installJobs, type JobHandler, JobRunner } from './job-runner.ts';

const log = openLog('silent');

async function openHome(): Promise<TestDatabase> {
  const home = await createTestDatabase();
  await Promise.all([installJobs(home.connection, log), installJobs(home.connection, log)]);
  return home;
}

function openRunner(home: TestDatabase, id: string, handle: JobHandler, dead: string[] = []): JobRunner {
  return new JobRunner({
    connection: home.connection,
    database: home.database,
    log,
    id,
    identity: id,
    isDead: (identity) => dead.includes(identity),
    handlers: { work: handle },
    crontab: '',
  });
}

const enqueue = (database: Database, name: string, rollBack = false) =>
  database.transaction('test.enqueue', async (transaction) => {
    await enqueueJobs(transaction, [{ task: 'work', payload: { name }, key: name, maxAttempts: 3 }]);
    if (rollBack) throw new Error('undone');
  });

test('a job is there exactly when its transaction is; a failed try is followed by another', async () => {
  await using home = await openHome();
  await expect(enqueue(home.database, 'never', true)).rejects.toThrow('undone');
  await enqueue(home.database, 'once');
  const tries: string[] = [];
  const done = Promise.withResolvers<void>();
  const handle: JobHandler = async (payload, { number, last }) => {
    tries.push(JSON.stringify({ payload, number, last }));
    if (number < 2) throw new Error('not yet');
    done.resolve();
  };
  await using runner = openRunner(home, 'one', handle);
  await runner.start();
  await done.promise;
  expect(tries).toEqual([
    '{"payload":{"name":"once"},"number":1,"last":false}',
    '{"payload":{"name":"once"},"number":2,"last":false}',
  ]);
});

test('what a dead process had taken is taken again at the next start; what a living one has is not', async () => {
  await using home = await openHome();
  await enqueue(home.database, 'left');
  const taken = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let again = 0;
  await using first = openRunner(home, 'first', async () => {
    taken.resolve();
    await release.promise;
  });
  await first.start();
  await taken.promise;
  const other: JobHandler = async () => {
    again += 1;
    retaken.resolve();
  };
  const retaken = Promise.withResolvers<void>();
  {
    await using polite = openRunner(home, 'polite', other);
    await polite.start();
  }
  expect(again).toBe(0);
  await using heir = openRunner(home, 'heir', other, ['first']);
  await heir.start();
  await retaken.promise;
  expect(again).toBe(1);
  const rows = await home.database.many<{ id: string }>(sql`SELECT id FROM job_workers`);
  expect(rows).toEqual([{ id: 'heir' }]);
  release.resolve();
});
