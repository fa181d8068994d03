import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BudgetView } from '../../../contract/runs.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { newId } from '../../ids.ts';
import { type Amount, BudgetRefused, findBudget, judge, raiseBudget, reserve, settle } from './budgets.ts';
import { ensureBudget } from './scopes.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
});
afterAll(() => home[Symbol.asyncDispose]());

let days = 0;
/** Two runs under one day. */
async function openDay(limits: { run: Amount; dayMicros: number }) {
  days += 1;
  const day = `day ${days}`;
  const runs = [newId('run'), newId('run')];
  for (const run of runs) {
    await ensureBudget(home.database, {
      scope: 'run',
      key: run,
      limitTokens: limits.run.tokens,
      limitMicros: limits.run.micros,
    });
  }
  const read = async (scope: BudgetView['scope'], key: string) => {
    const budget = await findBudget(home.database, scope, key);
    if (budget === undefined) throw new Error(`there is no budget ${scope} ${key}`);
    return budget;
  };
  return {
    run: runs[0] ?? '',
    day,
    take: (seq: number, amount: Amount, run = 0) =>
      home.database
        .transaction('test.reserve', (transaction) =>
          reserve(transaction, {
            runId: runs[run] ?? '',
            seq,
            day,
            dayLimitMicros: limits.dayMicros,
            amount,
          }),
        )
        .then(() => 'fits' as const)
        .catch((error: unknown) => {
          if (error instanceof BudgetRefused) return error.refusal.kind;
          throw error;
        }),
    settle: (seq: number, used: Amount | null, run = 0) =>
      home.database.transaction('test.settle', (transaction) =>
        settle(transaction, { runId: runs[run] ?? '', seq, used }),
      ),
    readRun: (run = 0) => read('run', runs[run] ?? ''),
    readDay: () => read('day', day),
  };
}
const amount = (tokens: number, micros: number): Amount => ({ tokens, micros });
const generous = { run: amount(1_000, 1_000), dayMicros: 1_000 };

const call = fc.record({
  run: fc.nat(1),
  reserved: fc.record({ tokens: fc.integer({ min: 1, max: 400 }), micros: fc.integer({ min: 1, max: 400 }) }),
  /** The part that was used; none where it is not known. */
  used: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  settles: fc.boolean(),
});

test('whatever the calls, at once and in any order, nothing is overspent and nothing is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 4, maxLength: 24 }), async (calls) => {
      const book = await openDay({ run: amount(900, 1_000), dayMicros: 1_500 });
      const expected = [0, 1].map(() => ({ spent: amount(0, 0), reserved: amount(0, 0) }));
      const add = (to: Amount, more: Amount) => {
        to.tokens += more.tokens;
        to.micros += more.micros;
      };
      await Promise.all(
        calls.map(async ({ run, reserved, used, settles }, seq) => {
          if ((await book.take(seq, reserved, run)) !== 'fits') return;
          if (!settles) return add(expected[run]?.reserved ?? amount(0, 0), reserved);
          const real =
            used === null
              ? null
              : amount(Math.floor(reserved.tokens * used), Math.floor(reserved.micros * used));
          await Promise.all([book.settle(seq, real, run), book.settle(seq, real, run)]);
          add(expected[run]?.spent ?? amount(0, 0), real ?? reserved);
        }),
      );
      const budgets = [await book.readRun(0), await book.readRun(1), await book.readDay()];
      for (const budget of budgets) {
        expect(budget.spentMicros + budget.reservedMicros).toBeLessThanOrEqual(budget.limitMicros ?? 0);
        expect(budget.spentTokens + budget.reservedTokens).toBeLessThanOrEqual(
          budget.limitTokens ?? Number.POSITIVE_INFINITY,
        );
      }
      const whole = { spent: amount(0, 0), reserved: amount(0, 0) };
      for (const each of expected) {
        add(whole.spent, each.spent);
        add(whole.reserved, each.reserved);
      }
      for (const [index, { spent, reserved }] of [...expected, whole].entries()) {
        expect(budgets[index]).toMatchObject({
          spentTokens: spent.tokens,
          spentMicros: spent.micros,
          reservedTokens: reserved.tokens,
          reservedMicros: reserved.micros,
        });
      }
    }),
    { numRuns: 25 },
  );
});

describe('a call that does not fit', () => {
  test('waits while the money is merely reserved, and is refused once it is spent', async () => {
    const book = await openDay(generous);
    expect(await book.take(1, amount(10, 700))).toBe('fits');
    expect(await book.take(2, amount(10, 301))).toBe('reserved');
    expect(await book.take(2, amount(10, 300))).toBe('fits');
    await book.settle(2, amount(10, 0));
    await book.settle(1, amount(10, 600));
    expect(await book.take(3, amount(10, 401))).toBe('spent');
    expect(await book.take(3, amount(10, 400))).toBe('fits');
  });

  test('is held against the tokens of its run and the money of its day as well', async () => {
    const book = await openDay({ run: amount(100, 1_000), dayMicros: 1_200 });
    expect(await book.take(1, amount(101, 1))).toBe('spent');
    expect(await book.take(1, amount(100, 900), 0)).toBe('fits');
    expect(await book.take(1, amount(1, 301), 1)).toBe('reserved');
    await book.settle(1, null, 0);
    expect(await book.take(1, amount(1, 301), 1)).toBe('spent');
    expect(await book.take(1, amount(1, 300), 1)).toBe('fits');
  });

  test('leaves nothing behind', async () => {
    const book = await openDay({ run: amount(100, 100), dayMicros: 1_000 });
    expect(await book.take(1, amount(1, 101))).toBe('spent');
    expect(await book.take(1, amount(100, 100))).toBe('fits');
    expect(await book.readRun()).toMatchObject({ reservedMicros: 100, reservedTokens: 100 });
  });
});

test('a day that begins while a run works has its budget from its first call on', async () => {
  const book = await openDay({ run: amount(1_000, 1_000), dayMicros: 50 });
  expect(await findBudget(home.database, 'day', book.day)).toBeUndefined();
  expect(await book.take(1, amount(1, 51))).toBe('spent');
  expect(await book.take(1, amount(1, 50))).toBe('fits');
  expect(await book.readDay()).toMatchObject({ limitMicros: 50, reservedMicros: 50 });
});

test('what is in doubt settles at its reservation, and settling twice changes nothing', async () => {
  const book = await openDay(generous);
  await book.take(1, amount(30, 40));
  await book.settle(1, null);
  await book.settle(1, amount(1, 1));
  await book.settle(2, amount(500, 500));
  const settled = { spentTokens: 30, spentMicros: 40, reservedTokens: 0, reservedMicros: 0 };
  expect(await book.readRun()).toMatchObject(settled);
  expect(await book.readDay()).toMatchObject(settled);
});

test('a call that used more than was reserved is booked whole, and told', async () => {
  const book = await openDay(generous);
  await book.take(1, amount(10, 10));
  await book.settle(1, amount(10, 25));
  expect(await book.readRun()).toMatchObject({ spentMicros: 25, reservedMicros: 0 });
  const events = await home.database.many<{ data: unknown }>(
    sql`SELECT data FROM event_outbox WHERE type = 'budget.overspent' AND run_id = ${book.run}`,
  );
  expect(events.map((event) => event.data)).toEqual([
    expect.objectContaining({ reserved: { tokens: 10, micros: 10 }, used: { tokens: 10, micros: 25 } }),
    expect.objectContaining({ reserved: { tokens: 10, micros: 10 }, used: { tokens: 10, micros: 25 } }),
  ]);
});

test('raising makes room for what was wanted, in both units, and doubles at least', async () => {
  const book = await openDay({ run: amount(100, 100), dayMicros: 10_000 });
  await book.take(1, amount(90, 90));
  await book.settle(1, null);
  expect(await book.take(2, amount(500, 20))).toBe('spent');
  const { id } = await book.readRun();
  await raiseBudget(home.database, id, amount(500, 20));
  expect(await book.readRun()).toMatchObject({ limitTokens: 590, limitMicros: 200 });
  expect(await book.take(2, amount(500, 20))).toBe('fits');
});

test('no limit is none', () => {
  const none = {
    scope: 'day',
    key: '',
    limitTokens: null,
    limitMicros: null,
    spentTokens: 9e9,
    spentMicros: 9e9,
    reservedTokens: 9e9,
    reservedMicros: 9e9,
  } as const;
  expect(judge(none, amount(9e12, 9e12))).toBe('fits');
});

test('at 80 % of a limit it is told, once, and again where a raised limit comes near', async () => {
  const day = await openDay({ run: amount(1_000, 1_000), dayMicros: 1_000_000 });
  const told = async () => {
    const rows = await home.database.many<{ scope: string }>(
      sql`SELECT data ->> 'scope' AS scope FROM event_outbox WHERE type = 'budget.near' AND data ->> 'key' = ${day.run}`,
    );
    return rows.map(({ scope }) => scope);
  };
  const spend = async (seq: number, micros: number) => {
    expect(await day.take(seq, amount(micros, micros))).toBe('fits');
    await day.settle(seq, amount(micros, micros));
  };
  await spend(1, 790);
  expect(await told()).toEqual([]);
  await spend(2, 20);
  expect(await told()).toEqual(['run']);
  await spend(3, 20);
  expect(await told()).toEqual(['run']);
  await home.database.transaction('test.raise', async (transaction) =>
    raiseBudget(transaction, (await day.readRun()).id, amount(1_000, 1_000)),
  );
  await spend(4, 600);
  expect(await told()).toEqual(['run']);
  await spend(5, 300);
  expect(await told()).toEqual(['run', 'run']);
});
