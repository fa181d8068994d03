import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AskView, DecideAskBody } from '../../../contract/asks.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { newId } from '../../ids.ts';
import { openLog } from '../../log.ts';
import { eventTypesOf, operator, readRun, seedRun, VirtualClock } from '../../runs/runs-fixture.ts';
import { Timers } from '../../runs/timers.ts';
import type { Actor } from '../actor.ts';
import { decideAsk, expireAsk, findAsk, listAsks, openAsk, withdrawAsks } from './asks.ts';

let home: TestDatabase;
let run: { runId: string; taskId: string };
const clock = new VirtualClock();
const deadlineMs = 12 * 3_600_000;

beforeAll(async () => {
  home = await createTestDatabase();
});
afterAll(() => home[Symbol.asyncDispose]());
beforeEach(async () => {
  run = await seedRun(home.database);
});

async function open(kind: AskView['kind'] = 'approval'): Promise<string> {
  const id = newId('ask');
  await home.database.transaction('test.ask', (transaction) =>
    openAsk(transaction, {
      id,
      ...run,
      kind,
      question: 'May it?',
      detail: { tool: 'run_command' },
      actionHash: 'hash',
      owner: 'olga',
      deadlineAt: clock.now() + deadlineMs,
      defaultDecision: 'deny',
      actor: 'developer',
    }),
  );
  return id;
}
const decide = (id: string, decision: Partial<DecideAskBody> = {}, actor: Actor = operator) =>
  decideAsk(home.database, actor, id, { decision: 'approve', answer: '', ...decision }, clock.now());
const find = (id: string) => findAsk(home.database, id);
const expire = (id: string) =>
  home.database.transaction('test.expire', (transaction) => expireAsk(transaction, id, clock.now()));
const withdraw = () =>
  home.database.transaction('test.withdraw', (transaction) => withdrawAsks(transaction, run.runId));

describe('a decision', () => {
  test('is kept with who made it, wakes the run, and is told', async () => {
    const id = await open();
    expect(await decide(id, { decision: 'deny', answer: 'not today', actionHash: 'hash' })).toMatchObject({
      status: 'decided',
      decision: 'deny',
      answer: 'not today',
      decidedBy: 'olga',
    });
    expect((await readRun(home.database, run.runId)).wakeCount).toBe(1);
    expect(await eventTypesOf(home.database, run.runId)).toEqual([
      'run.queued',
      'ask.opened',
      'ask.decided',
      'run.woken',
    ]);
  });

  test('is the first of many at once; the same again is answered alike', async () => {
    const id = await open();
    const actors = ['olga', 'otto', 'oona'].map((name) => ({ ...operator, name }));
    const tries = await Promise.allSettled(
      actors.flatMap((actor) => [decide(id, {}, actor), decide(id, { decision: 'deny' }, actor)]),
    );
    const won = tries.filter((one) => one.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const one of tries)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'already_decided' });
    const decided = await find(id);
    const winner = actors.find((actor) => actor.name === decided?.decidedBy) ?? operator;
    expect(await decide(id, { decision: decided?.decision ?? 'answer' }, winner)).toEqual(decided);
    expect((await readRun(home.database, run.runId)).wakeCount).toBe(1);
  });

  test('about another action, of the wrong kind, of nobody known, or of an agent is refused', async () => {
    const id = await open();
    await expect(decide(id, { actionHash: 'another' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(decide(id, { decision: 'answer', answer: 'yes' })).rejects.toMatchObject({
      code: 'unprocessable',
    });
    for (const role of ['viewer', 'agent'] as const)
      await expect(decide(id, {}, { ...operator, role })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(decide('ask_nothing')).rejects.toMatchObject({ code: 'not_found' });
    expect(await find(id)).toMatchObject({ status: 'open', decision: null });
    expect((await readRun(home.database, run.runId)).wakeCount).toBe(0);
  });

  test('on a question needs an answer', async () => {
    const id = await open('clarification');
    for (const decision of ['approve', 'answer'] as const)
      await expect(decide(id, { decision, answer: ' ' })).rejects.toMatchObject({ code: 'unprocessable' });
    expect(await decide(id, { decision: 'answer', answer: 'blue' })).toMatchObject({ answer: 'blue' });
  });
});

describe('an ask that nobody decides', () => {
  test('is denied at its deadline, once, and wakes the run', async () => {
    const id = await open();
    const handlers = {
      'ask.deadline': (transaction: Parameters<typeof expireAsk>[0], ref: string) =>
        expireAsk(transaction, ref, clock.now()),
      'run.reminder': async () => undefined,
      'agent.silence': async () => undefined,
      'task.deadline': async () => undefined,
      'task.reminder': async () => undefined,
    };
    await using timers = new Timers({ database: home.database, clock, log: openLog('silent'), handlers });
    const fireAll = async () => {
      while (await timers.fireOne());
    };
    clock.advance(deadlineMs - 1);
    await fireAll();
    expect(await find(id)).toMatchObject({ status: 'open' });
    clock.advance(1);
    await fireAll();
    expect(await find(id)).toMatchObject({ status: 'expired', decision: 'deny', decidedBy: 'deadline' });
    await expire(id);
    expect(
      (await eventTypesOf(home.database, run.runId)).filter((type) => type === 'ask.expired'),
    ).toHaveLength(1);
    expect((await readRun(home.database, run.runId)).wakeCount).toBe(1);
    await expect(decide(id)).rejects.toThrow('deny by deadline');
  });

  test('has one end when deadline, decision and withdrawal meet', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => open()));
    await Promise.all(ids.map((id) => Promise.allSettled([expire(id), decide(id), withdraw()])));
    const types = await eventTypesOf(home.database, run.runId);
    expect(
      types.filter((type) => ['ask.expired', 'ask.decided', 'ask.withdrawn'].includes(type)),
    ).toHaveLength(8);
  });

  test('is withdrawn with its run, and its deadline then changes nothing', async () => {
    const [id, decided] = [await open(), await open()];
    await decide(decided);
    await withdraw();
    await expire(id);
    expect(await find(id)).toMatchObject({ status: 'withdrawn', decision: null });
    expect(await find(decided)).toMatchObject({ status: 'decided' });
    await expect(decide(id)).rejects.toThrow('withdrawn');
  });
});

test('a list holds what was asked for, newest first', async () => {
  await home.database.many(sql`DELETE FROM asks`);
  const ids = [await open(), await open(), await open()];
  await decide(ids[1] ?? '');
  const open2 = await listAsks(home.database, { status: 'open', limit: 10 });
  expect(open2.map((ask) => ask.id)).toEqual([ids[2], ids[0]]);
  expect(await listAsks(home.database, { limit: 2 })).toHaveLength(2);
});
