import type { TestedModel } from '../../../contract/models.ts';
import type { Database } from '../../database/database.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import { type Amount, BudgetRefused, readToday, reserve, settle } from '../budgets/budgets.ts';
import { requireOperator } from './change-providers.ts';

/** One real call, as short as one can be. `used` is null where nobody knows what it cost. */
export interface ShortCall {
  highest: Amount;
  run(): Promise<TestedModel & { used: Amount | null }>;
}

/**
 * Calls a model to see whether it answers. It costs a little, and is reserved against the day like every call.
 * @param prepare throws AppError `unprocessable` where the model cannot be called at all
 * @throws AppError forbidden
 */
export async function testModel(
  context: { database: Database; dayLimitMicros: number; prepare: (model: string) => Promise<ShortCall> },
  actor: Actor,
  model: string,
): Promise<TestedModel> {
  requireOperator(actor, 'test models');
  const call = await context.prepare(model);
  const reservation = { runId: newId('evt'), seq: 0 };
  const { dayLimitMicros } = context;
  try {
    await context.database.transaction('budgets.test', async (transaction) => {
      const day = await readToday(transaction);
      await reserve(transaction, { ...reservation, day, dayLimitMicros, amount: call.highest });
    });
  } catch (error) {
    if (!(error instanceof BudgetRefused)) throw error;
    throw new AppError(
      'unprocessable',
      `${error.message}: nothing can be called before it is raised or a new day begins.`,
    );
  }
  let used: Amount | null = null;
  try {
    const { used: spent, ...tested } = await call.run();
    used = spent;
    return tested;
  } finally {
    await context.database.transaction('budgets.tested', (transaction) =>
      settle(transaction, { ...reservation, used }),
    );
  }
}
