import type { Receipt } from '../../../contract/changes.ts';
import type { Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { type ChangeContext, queueOnBranch } from './branch-queue.ts';

/**
 * Where the project wants no review, a change that passed its checks is merged without one, in the transaction that
 * offers it. What needs a person, such as changed tests, waits for one all the same.
 */
export async function mergeUnreviewed(
  transaction: Transaction,
  context: Pick<ChangeContext, 'now' | 'dayLimitMicros'>,
  change: { id: string; taskId: string; receipt: Receipt },
): Promise<void> {
  const { id: changeId, taskId, receipt } = change;
  if (receipt.needsHuman || receipt.verdict !== 'passed') return;
  const { reviewRequired } = await transaction.one<{ reviewRequired: boolean }>(
    sql`SELECT review_required AS "reviewRequired" FROM projects
        WHERE id = (SELECT project_id FROM tasks WHERE id = ${taskId})`,
  );
  if (reviewRequired) return;
  const actor = { name: 'control-plane' };
  await queueOnBranch(transaction, context, { changeId, kind: 'merge', from: 'ready', actor });
}
