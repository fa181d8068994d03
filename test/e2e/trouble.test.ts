import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunView } from '../../contract/runs.ts';
import type { Step } from '../../contract/steps.ts';
import { sql } from '../../server/database/sql.ts';
import { finish, House, honest, type Turn } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house[Symbol.asyncDispose]());

const checks = ['node --test'];
const attemptsOf = (steps: Step[]) =>
  steps
    .filter((step) => step.kind === 'model')
    .map((step) => (step.status === 'failed' ? step.error?.class : step.status));

describe('a model that misbehaves', () => {
  test.concurrent('for a while leads to the same change, every attempt in the journal and in the budget', async () => {
    const faults: Record<string, unknown>[][] = [
      [{ kind: '429', retryAfterSeconds: 1 }],
      [{ kind: '529' }],
      [{ kind: 'error_in_stream' }],
      [{ kind: 'cut_stream' }],
      [{ kind: 'malformed_arguments' }, { kind: 'unknown_tool' }],
      [{ kind: 'empty_turn' }],
    ];
    const { task, run } = await house.start(
      honest.map((turn, index) => ({ ...turn, misbehave: faults[index] ?? [] })),
      { checks },
    );
    const { run: ended } = await house.rest(run.id);
    expect([ended.status, ended.outcome]).toEqual(['succeeded', expect.stringContaining('passed')]);
    const steps = await house.steps(run.id);
    expect(attemptsOf(steps)).toEqual([
      ...['rate_limited', 'done', 'overloaded', 'done'],
      ...[expect.stringMatching(/stream_broken|server_error|overloaded/), 'done', 'stream_broken', 'done'],
      ...['done', 'done', 'done', 'done', 'done', 'done', 'done'],
    ]);
    const refused = steps.flatMap((step) =>
      step.kind === 'tool' && step.status === 'failed' ? [step.error?.class] : [],
    );
    expect(refused).toEqual(['invalid_arguments', 'unknown_tool']);
    const [limited] = steps.filter((step) => step.kind === 'model');
    const next = steps.find((step) => step.kind === 'model' && step.status === 'done');
    expect(Date.parse(next?.startedAt ?? '') - Date.parse(limited?.endedAt ?? '')).toBeGreaterThanOrEqual(
      1_000,
    );
    expect(ended.budget).toMatchObject({ reservedTokens: 0, reservedMicros: 0 });
    expect(await house.database.many(sql`SELECT 1 FROM reservations WHERE run_id = ${run.id}`)).toEqual([]);
    expect(await house.changes(task.id)).toMatchObject([{ status: 'ready' }]);
  });

  test.concurrent('for good ends in a question; approved, it goes on', async () => {
    const dead: Turn = { ...finish, misbehave: [{ kind: '429', retryAfterSeconds: 0, times: 6 }] };
    const { run } = await house.start([dead, ...honest.slice(1)], { checks });
    const { run: waiting, ask } = await house.rest(run.id);
    expect(waiting).toMatchObject({ status: 'waiting', waiting: { on: 'ask', owner: 'owner' } });
    expect(ask).toMatchObject({
      kind: 'proposal',
      question: expect.stringContaining('rate_limited, 6 times'),
    });
    expect(attemptsOf(await house.steps(run.id))).toEqual(Array(6).fill('rate_limited'));
    await house.decide(ask, { decision: 'approve' });
    expect((await house.rest(run.id)).run.status).toBe('succeeded');
  });

  test.concurrent('because the recording does not fit ends the run, and its task', async () => {
    const { task, run } = await house.start([{ ...finish, contains: ['what nobody said'] }]);
    expect((await house.rest(run.id)).run).toMatchObject({
      status: 'failed',
      outcome: expect.stringContaining('what nobody said'),
    });
    expect((await house.task(task.id)).status).toBe('failed');
  });
});

describe('a run whose money is spent', () => {
  test.concurrent('asks before it calls; every approval makes room; it ends as without a limit', async () => {
    const { run } = await house.start(honest, { checks, budget: { tokens: 1_000 } });
    let rest = await house.rest(run.id);
    expect(rest.ask).toMatchObject({
      kind: 'proposal',
      question: expect.stringContaining('of 1000 tokens used'),
    });
    expect(attemptsOf(await house.steps(run.id))).toEqual([]);
    for (let approvals = 0; rest.ask !== null && approvals < 3; approvals++) {
      await house.decide(rest.ask, { decision: 'approve' });
      rest = await house.rest(run.id);
    }
    expect(rest.run.status).toBe('succeeded');
    const { limitTokens, spentTokens = Number.NaN } = rest.run.budget ?? {};
    expect(spentTokens).toBeGreaterThan(0);
    expect(spentTokens).toBeLessThanOrEqual(limitTokens ?? 0);
  });

  test.concurrent('ends with the word of the one who denies more', async () => {
    const { task, run } = await house.start(honest, { checks, budget: { usd: 0.0001 } });
    const { ask } = await house.rest(run.id);
    await house.decide(ask, { decision: 'deny', answer: 'too dear' });
    expect((await house.rest(run.id)).run).toMatchObject({
      status: 'failed',
      outcome: 'owner ended it (budget): too dear',
    });
    expect((await house.task(task.id)).status).toBe('failed');
  });
});

test.concurrent('guidance is read at the next step, and a paused run goes on where it was', async () => {
  const question: Turn = { calls: [['ask_human', { question: 'Which colour?' }]] };
  const { run } = await house.start(
    [
      question,
      { ...finish, contains: ['owner answers: blue', 'Guidance from owner: hurry'] },
      ...honest.slice(1),
    ],
    { checks },
  );
  const { ask } = await house.rest(run.id);
  await house.ask('POST', `/runs/${run.id}/say`, { text: 'hurry' });
  await house.ask('POST', `/runs/${run.id}/pause`);
  await expect.poll(async () => (await house.ask<RunView>('GET', `/runs/${run.id}`)).status).toBe('paused');
  await house.decide(ask, { decision: 'answer', answer: 'blue' });
  await house.ask('POST', `/runs/${run.id}/resume`);
  const { run: ended } = await house.rest(run.id);
  expect([ended.status, ended.outcome]).toEqual(['succeeded', expect.stringContaining('passed')]);
});
