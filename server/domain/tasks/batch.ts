import type { BatchBody, BatchResult, TaskView } from '../../../contract/tasks.ts';
import type { Transaction } from '../../database/database.ts';
import { AppError, errorStatus } from '../../errors.ts';
import { type Actor, requirePermission } from '../actor.ts';
import { applyCancel } from './end-task.ts';
import { insertTask, prepareTask, type TaskContext } from './tasks.ts';
import { applyUpdate, prepareUpdate } from './update-task.ts';

type Item = BatchBody['items'][number];
type ItemResult = BatchResult['items'][number];
type Act = (transaction: Transaction) => Promise<TaskView>;

/**
 * Creates, updates and cancels many tasks. Each item has its own result; where the batch is atomic, the first that
 * is refused takes all of them back, and the others say so.
 */
export async function applyBatch(context: TaskContext, actor: Actor, batch: BatchBody): Promise<BatchResult> {
  requirePermission(actor, 'tasks:write');
  return { items: batch.atomic ? await together(context, actor, batch) : await each(context, actor, batch) };
}

async function each(context: TaskContext, actor: Actor, batch: BatchBody): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  for (const item of batch.items) {
    try {
      const act = await prepare(context, actor, item);
      results.push(done(item, await context.database.transaction('tasks.batch', act)));
    } catch (error) {
      results.push(refused(error));
    }
  }
  return results;
}

/** Thrown to roll the transaction back, with the place of the item that was refused. */
class ItemRefused extends Error {
  readonly place: number;
  constructor(place: number, cause: unknown) {
    super('an item was refused', { cause });
    this.name = 'ItemRefused';
    this.place = place;
  }
}

async function together(context: TaskContext, actor: Actor, batch: BatchBody): Promise<ItemResult[]> {
  try {
    const acts = await inOrder(batch.items, (item) => prepare(context, actor, item));
    const tasks = await context.database.transaction('tasks.batch', (transaction) =>
      inOrder(acts, (act) => act(transaction)),
    );
    return batch.items.map((item, index) => done(item, tasks[index] ?? null));
  } catch (error) {
    if (!(error instanceof ItemRefused)) throw error;
    const reason = refused(error.cause);
    const withIt: ItemResult = {
      status: 424,
      task: null,
      problem: { code: 'not_done', detail: `Nothing was done: item ${error.place} was refused.` },
    };
    return batch.items.map((_, index) => (index === error.place ? reason : withIt));
  }
}

async function inOrder<From, To>(all: readonly From[], act: (one: From) => Promise<To>): Promise<To[]> {
  const results: To[] = [];
  for (const [place, one] of all.entries()) {
    try {
      results.push(await act(one));
    } catch (error) {
      throw error instanceof AppError && errorStatus[error.code] < 500
        ? new ItemRefused(place, error)
        : error;
    }
  }
  return results;
}

async function prepare(context: TaskContext, actor: Actor, item: Item): Promise<Act> {
  if (item.op === 'create') {
    const prepared = await prepareTask(context, actor, item.task);
    return async (transaction) => (await insertTask(transaction, context, actor, prepared)).task;
  }
  if (item.op === 'cancel') return (transaction) => applyCancel(transaction, context, actor, item);
  const assignee = await prepareUpdate(context, actor, item.task);
  const { id, task: body, version: expected } = item;
  return (transaction) => applyUpdate(transaction, context, actor, { id, body, assignee, expected });
}

function done(item: Item, task: TaskView | null): ItemResult {
  return { status: item.op === 'create' ? 201 : 200, task, problem: null };
}

/** What is no refusal of the item, such as a database that is away, is the batch's failure. */
function refused(error: unknown): ItemResult {
  if (!(error instanceof AppError) || errorStatus[error.code] >= 500) throw error;
  return {
    status: errorStatus[error.code],
    task: null,
    problem: { code: error.code, detail: error.message },
  };
}
