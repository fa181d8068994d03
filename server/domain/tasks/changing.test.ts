import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { claimRuns } from '../../runs/lease.ts';
import { addDependency, removeDependency } from './dependencies.ts';
import { cancelTask, retryTask } from './end-task.ts';
import { getTask } from './task-rows.ts';
import { setTaskStatus } from './tasks.ts';
import { admin, House } from './tasks-fixture.ts';
import { updateTask } from './update-task.ts';
import { tellOverdue } from './waits.ts';

let home: TestDatabase;
let house: House;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
  house = await House.open(home.database);
});
afterAll(() => home[Symbol.asyncDispose]());

const complete = (taskId: string) =>
  home.database.transaction('test.complete', (transaction) =>
    setTaskStatus(transaction, { taskId, status: 'completed', waiting: null, actor: 'ada', reason: 'test' }),
  );
const runsOf = (taskId: string) =>
  home.database.many<{ id: string; status: string; control: string }>(
    sql`SELECT id, status, control FROM runs WHERE task_id = ${taskId} ORDER BY id`,
  );
const onRepository = { repository: '/srv/one' };

test('a task of our own loop begins in the transaction that completes the last task before it', async () => {
  const [first, second] = [await house.give(), await house.give()];
  const dependsOn = [first.task.id, second.task.id];
  const { task, run } = await house.give({ ...onRepository, dependsOn });
  expect(run).toBeNull();
  expect(task).toMatchObject({ status: 'pending', waiting: { on: 'blocker' }, dependsOn: dependsOn.sort() });
  await complete(first.task.id);
  expect((await getTask(home.database, task.id)).waiting?.reason).toBe(
    `waits until ${second.task.id} is completed`,
  );
  expect(await runsOf(task.id)).toEqual([]);
  await complete(second.task.id);
  expect(await runsOf(task.id)).toMatchObject([{ status: 'queued' }]);
  expect((await getTask(home.database, task.id)).waiting).toBeNull();
  expect(await house.told(task.id)).toEqual(['task.created', 'task.updated', 'run.queued', 'task.updated']);
});

test('dependencies come and go while nobody has begun, and never close a circle', async () => {
  const { task: first } = await house.give(onRepository);
  const { task: second } = await house.give();
  const held = await addDependency(house.context, admin, first.id, second.id);
  expect(held.waiting).toMatchObject({ on: 'blocker', ref: second.id });
  expect(await runsOf(first.id)).toMatchObject([{ status: 'stopped' }]);
  const { task: third } = await house.give({ dependsOn: [first.id] });
  for (const [task, on] of [
    [second.id, first.id],
    [second.id, third.id],
    [second.id, second.id],
  ] as const) {
    await expect(addDependency(house.context, admin, task, on)).rejects.toMatchObject({
      code: 'unprocessable',
    });
  }
  await expect(addDependency(house.context, admin, second.id, 'task_nothing')).rejects.toMatchObject({
    code: 'not_found',
  });
  const freed = await removeDependency(house.context, admin, first.id, second.id);
  expect(freed).toMatchObject({ waiting: null, dependsOn: [] });
  expect((await runsOf(first.id)).map(({ status }) => status)).toEqual(['stopped', 'queued']);
  await claimRuns(home.database, { workerId: 'wrk_test', limit: 50, leaseSeconds: 60, now: Date.now() });
  await expect(addDependency(house.context, admin, first.id, second.id)).rejects.toMatchObject({
    code: 'wrong_state',
  });
});

test('two additions at once that would close a circle together are not both taken', async () => {
  for (let round = 0; round < 5; round++) {
    const [one, two] = [await house.give(), await house.give()];
    const results = await Promise.allSettled([
      addDependency(house.context, admin, one.task.id, two.task.id),
      addDependency(house.context, admin, two.task.id, one.task.id),
    ]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  }
});

test('a cancelled task takes its children with it, and what works on them; retried, it begins anew', async () => {
  const { task: parent } = await house.give();
  const { task: child, run } = await house.give({ ...onRepository, parent: parent.id });
  const { task: grandchild } = await house.give({ parent: child.id });
  const agent = await house.hire();
  const [claim] = await house.claim(agent, { taskId: grandchild.id });
  await claimRuns(home.database, { workerId: 'wrk_test', limit: 50, leaseSeconds: 60, now: Date.now() });
  await cancelTask(house.context, admin, parent.id, 'changed my mind');
  await cancelTask(house.context, admin, parent.id, 'again');
  for (const { id } of [parent, child, grandchild])
    expect((await getTask(home.database, id)).status).toBe('cancelled');
  expect(await runsOf(child.id)).toMatchObject([{ id: run?.id, control: 'stop' }]);
  expect(await runsOf(grandchild.id)).toMatchObject([{ id: claim?.runId, status: 'stopped' }]);
  await expect(retryTask(house.context, admin, child.id)).rejects.toThrow('still being stopped');
  await home.database.many(
    sql`UPDATE runs SET status = 'stopped', worker_id = NULL, ended_at = now() WHERE id = ${run?.id}`,
  );
  expect(await retryTask(house.context, admin, child.id)).toMatchObject({ status: 'pending', waiting: null });
  expect((await runsOf(child.id)).map(({ status }) => status)).toEqual(['stopped', 'queued']);
  await expect(retryTask(house.context, admin, child.id)).rejects.toMatchObject({ code: 'wrong_state' });
});

test('what decides how a task begins changes only before that, and under the version that was seen', async () => {
  const { task, run } = await house.give(onRepository);
  const update = (body: Parameters<typeof updateTask>[3], version?: number) =>
    updateTask(house.context, admin, task.id, body, version);
  const agent = await house.hire();
  const moved = await update({ assignee: agent.name, priority: 'high' }, 1);
  expect(moved).toMatchObject({
    assignee: { name: agent.name },
    priority: 'high',
    waiting: { on: 'queue', owner: 'agents' },
  });
  expect(await runsOf(task.id)).toMatchObject([{ id: run?.id, status: 'stopped' }]);
  await expect(update({ title: 'late' }, 1)).rejects.toMatchObject({ code: 'precondition_failed' });
  expect(await update({ assignee: 'developer' })).toMatchObject({ waiting: null });
  expect(await update({ instructions: 'Mop instead.' })).toMatchObject({ instructions: 'Mop instead.' });
  await claimRuns(home.database, { workerId: 'wrk_test', limit: 50, leaseSeconds: 60, now: Date.now() });
  await expect(update({ instructions: 'Too late.' })).rejects.toMatchObject({ code: 'wrong_state' });
  await complete(task.id);
  await expect(update({ priority: 'low' })).rejects.toMatchObject({ code: 'wrong_state' });
  expect((await update({ title: 'Swept', metadata: { by: 'us' } })).metadata).toEqual({ by: 'us' });
});

test('a deadline that passes is told of once', async () => {
  const { task } = await house.give({ deadline: '2030-01-01T00:00:00Z' });
  const timers = () =>
    home.database.many(sql`SELECT due_at FROM timers WHERE kind = 'task.deadline' AND ref = ${task.id}`);
  expect(await timers()).toEqual([{ due_at: '2030-01-01T00:00:00.000Z' }]);
  await home.database.transaction('test.overdue', (transaction) => tellOverdue(transaction, task.id));
  expect(await house.told(task.id)).toEqual(['task.created', 'task.overdue']);
  await updateTask(house.context, admin, task.id, { deadline: null });
  expect(await timers()).toEqual([]);
});

test('what no agent of ours can do is refused with what to do', async () => {
  await expect(house.give({ assignee: 'developer' })).rejects.toThrow('work on repositories');
  await expect(house.give({ assignee: 'nobody' })).rejects.toThrow('there are: ');
  await expect(house.give({ parent: 'task_nothing' })).rejects.toMatchObject({ code: 'not_found' });
  await expect(house.give({ ...onRepository, project: house.projectId })).rejects.toMatchObject({
    code: 'unprocessable',
  });
});
