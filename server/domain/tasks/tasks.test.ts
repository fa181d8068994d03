import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { eventTypesOf, operator, presenter, readRun, seedRun } from '../../runs/runs-fixture.ts';
import { type Actor, fullActor } from '../actor.ts';
import { remindOfRun, requestControl, sayToRun } from '../runs/runs.ts';
import { getTask, listTasks } from './task-rows.ts';
import { createTask, setTaskStatus } from './tasks.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
});
afterAll(() => home[Symbol.asyncDispose]());

const defaults = { agent: 'developer', runLimitMicros: 5, runLimitTokens: 6, dayLimitMicros: 7 };
const create = (body: Partial<Parameters<typeof createTask>[2]> = {}, actor: Actor = operator) =>
  createTask({ database: home.database, present: presenter, defaults, now: Date.now }, actor, {
    instructions: '\n  Mend the sum.\nIt is wrong.',
    repository: '/srv/one',
    ...body,
  });
const move = (taskId: string, status: Parameters<typeof setTaskStatus>[1]['status']) =>
  home.database.transaction('test.move', (transaction) =>
    setTaskStatus(transaction, { taskId, status, waiting: null, actor: 'olga', reason: 'test' }),
  );
const context = () => ({ database: home.database, now: Date.now });

describe('a task', () => {
  test('is taken in with its run, budget and events, or not at all', async () => {
    await seedRun(home.database);
    const { task, run } = await create({ budget: { usd: 0.25 }, checks: ['npm test'] });
    expect(task).toMatchObject({
      title: 'Mend the sum.',
      status: 'pending',
      priority: 'medium',
      checks: ['npm test'],
      createdBy: 'olga',
    });
    expect(run).toMatchObject({
      taskId: task.id,
      status: 'queued',
      waiting: { on: 'queue' },
      budget: { limitMicros: 250_000, limitTokens: 6 },
    });
    expect(await eventTypesOf(home.database, run.id)).toEqual(['run.queued']);
    const count = () => home.database.many(sql`SELECT 1 FROM tasks`).then((rows) => rows.length);
    const before = await count();
    await expect(create({ agent: 'nobody' })).rejects.toThrow('there are: developer');
    await expect(create({}, fullActor({ ...operator, role: 'viewer' }))).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(create({ budget: { tokens: 2 ** 70 } })).rejects.toThrow();
    expect(await count()).toBe(before);
  });

  test('of the same repository belongs to the same project, however many come at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 8 }, () => create({ repository: 'https://forge.example/team/two.git' })),
    );
    expect(new Set(made.map(({ task }) => task.projectId)).size).toBe(1);
    const projects = await home.database.many(sql`SELECT name FROM projects WHERE location LIKE '%two.git'`);
    expect(projects).toEqual([{ name: 'two' }]);
    const created = await home.database.many(
      sql`SELECT 1 FROM event_outbox WHERE type = 'project.created' AND data ->> 'name' = 'two'`,
    );
    expect(created).toHaveLength(1);
  });

  test('that is over is not moved again', async () => {
    const { task } = await create();
    await move(task.id, 'in_progress');
    await move(task.id, 'completed');
    await move(task.id, 'failed');
    expect((await getTask(home.database, task.id)).status).toBe('completed');
    expect((await listTasks(home.database, { open: true, limit: 1_000 })).map((one) => one.id)).not.toContain(
      task.id,
    );
    const types = await home.database.many<{ type: string }>(
      sql`SELECT type FROM event_outbox WHERE entity_id = ${task.id} ORDER BY position`,
    );
    expect(types.map((row) => row.type)).toEqual(['task.created', 'task.updated', 'task.completed']);
  });

  test('that stands still names what it waits for', async () => {
    const { task } = await create();
    await expect(move(task.id, 'blocked')).rejects.toThrow('tasks_no_nameless_wait');
    await expect(getTask(home.database, 'task_nothing')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('steering a run', () => {
  const finish = (runId: string) =>
    home.database.many(
      sql`UPDATE runs SET status = 'succeeded', wake_at = NULL, waiting = NULL, ended_at = now() WHERE id = ${runId}`,
    );

  test('is for operators, of runs that there are and that have not ended', async () => {
    const { runId } = await seedRun(home.database);
    for (const role of ['viewer', 'agent'] as const) {
      await expect(requestControl(context(), { ...operator, role }, runId, 'stop')).rejects.toMatchObject({
        code: 'forbidden',
      });
      await expect(sayToRun(context(), { ...operator, role }, runId, 'x')).rejects.toMatchObject({
        code: 'forbidden',
      });
    }
    await expect(requestControl(context(), operator, 'run_nothing', 'stop')).rejects.toMatchObject({
      code: 'not_found',
    });
    await finish(runId);
    for (const control of ['pause', 'go', 'stop'] as const)
      await expect(requestControl(context(), operator, runId, control)).rejects.toMatchObject({
        code: 'wrong_state',
      });
    await expect(sayToRun(context(), operator, runId, 'x')).rejects.toMatchObject({ code: 'wrong_state' });
  });

  test('wakes it; asked twice it wakes once; a stop is not taken back', async () => {
    const { runId } = await seedRun(home.database);
    await requestControl(context(), operator, runId, 'pause');
    await requestControl(context(), operator, runId, 'pause');
    expect((await readRun(home.database, runId)).wakeCount).toBe(1);
    await requestControl(context(), operator, runId, 'stop');
    await expect(requestControl(context(), operator, runId, 'go')).rejects.toMatchObject({
      code: 'wrong_state',
    });
    await sayToRun(context(), operator, runId, 'hold on');
    expect((await readRun(home.database, runId)).wakeCount).toBe(3);
  });

  test('one that waits past its deadline is told of, again and again', async () => {
    const now = Date.now();
    const { runId } = await seedRun(home.database, { now });
    const remind = (at: number) =>
      home.database.transaction('test.remind', (transaction) => remindOfRun(transaction, runId, at));
    const overdue = async () =>
      (await eventTypesOf(home.database, runId)).filter((type) => type === 'run.overdue').length;
    await remind(now + 599_999);
    expect(await overdue()).toBe(0);
    await remind(now + 600_000);
    await remind(now + 600_001);
    expect(await overdue()).toBe(1);
    await remind(now + 1_200_000);
    expect(await overdue()).toBe(2);
    expect(
      await home.database.many(sql`SELECT 1 FROM timers WHERE kind = 'run.reminder' AND ref = ${runId}`),
    ).toHaveLength(1);
  });
});
