import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { newId } from '../../ids.ts';
import { operator, seedRun } from '../../runs/runs-fixture.ts';
import { endTaskWait } from '../tasks/standing.ts';
import { getTask } from '../tasks/task-rows.ts';
import { getChange, offerChange, recordMerge, requestMerge } from './changes.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
});
afterAll(() => home[Symbol.asyncDispose]());

const context = () => ({ database: home.database, now: Date.now, dayLimitMicros: 1_000 });
const commit = 'c'.repeat(40);

async function offer(now = Date.now()) {
  const { runId, taskId } = await seedRun(home.database);
  await home.database.many(
    sql`UPDATE runs SET status = 'succeeded', wake_at = NULL, waiting = NULL, ended_at = now() WHERE id = ${runId}`,
  );
  const id = newId('chg');
  const base = 'b'.repeat(40);
  await home.database.transaction('test.offer', (transaction) =>
    offerChange(transaction, {
      id,
      taskId,
      runId,
      supersedes: null,
      title: 'Mend',
      description: '',
      baseCommit: base,
      commit,
      targetBranch: 'main',
      receipt: {
        base,
        commit,
        checks: [],
        pinnedChanges: [],
        verdict: 'passed',
        needsHuman: false,
        acceptedBy: null,
      },
      actor: 'developer',
      now,
    }),
  );
  return { id, taskId };
}

test('an offered change puts its task in review, with a reminder until somebody looks', async () => {
  const now = Date.now();
  const { id, taskId } = await offer(now);
  const review = { on: 'review', ref: id, owner: 'operators', atDeadline: 'remind' };
  expect(await getTask(home.database, taskId)).toMatchObject({ status: 'in_review', waiting: review });
  const tomorrow = now + 24 * 3_600_000;
  await home.database.transaction('test.remind', (transaction) => endTaskWait(transaction, taskId, tomorrow));
  const { waiting } = await getTask(home.database, taskId);
  expect(waiting).toMatchObject({ ...review, deadline: new Date(tomorrow + 24 * 3_600_000).toISOString() });
  expect(
    await home.database.many(
      sql`SELECT 1 FROM event_outbox WHERE type = 'task.overdue' AND entity_id = ${taskId}`,
    ),
  ).toHaveLength(1);
});

test('a merge that is asked for many times is one run', async () => {
  const { id, taskId } = await offer();
  const runs = await Promise.all(Array.from({ length: 6 }, () => requestMerge(context(), operator, id)));
  expect(new Set(runs).size).toBe(1);
  const queued = await home.database.many(
    sql`SELECT id FROM runs WHERE task_id = ${taskId} AND kind = 'merge'`,
  );
  expect(queued).toEqual([{ id: runs[0] }]);
});

test('only a ready change is merged, by an operator; merging completes its task', async () => {
  const { id, taskId } = await offer();
  await expect(requestMerge(context(), { ...operator, role: 'viewer' }, id)).rejects.toMatchObject({
    code: 'forbidden',
  });
  await expect(requestMerge(context(), operator, 'chg_nothing')).rejects.toMatchObject({ code: 'not_found' });
  const runId = await requestMerge(context(), operator, id);
  await home.database.transaction('test.merge', async (transaction) => {
    await transaction.many(
      sql`UPDATE runs SET status = 'succeeded', wake_at = NULL, waiting = NULL, ended_at = now() WHERE id = ${runId}`,
    );
    await recordMerge(transaction, { changeId: id, taskId, runId, commit, actor: 'olga' });
  });
  expect(await getChange(home.database, id)).toMatchObject({ status: 'merged', mergedCommit: commit });
  expect(await getTask(home.database, taskId)).toMatchObject({ status: 'completed', waiting: null });
  await expect(requestMerge(context(), operator, id)).rejects.toMatchObject({ code: 'wrong_state' });
});
