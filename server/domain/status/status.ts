import type { StatusView, WorkerView } from '../../../contract/system.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { readHalt } from '../../runs/halt.ts';
import type { Actor } from '../actor.ts';
import { listAsks } from '../asks/asks.ts';
import { findBudget, readToday } from '../budgets/budgets.ts';
import { listChanges } from '../changes/changes.ts';
import type { RunPresenter } from '../runs/runs.ts';
import { listTasks } from '../tasks/task-rows.ts';

const most = 200;

/** What is going on, what waits, and for whom: read from the same rows that decide it. */
export async function readStatus(
  database: Database,
  present: RunPresenter,
  actor: Actor,
  version: string,
): Promise<StatusView> {
  const today = await findBudget(database, 'day', await readToday(database));
  return {
    version,
    halted: await readHalt(database),
    workers: await listWorkers(database),
    asks: await listAsks(database, { status: 'open', actor, limit: most }),
    runs: await present.list(database, { open: true, actor, limit: most }),
    tasks: await listTasks(database, { open: true, actor, limit: most }),
    changes: await listChanges(database, { status: 'ready', actor, limit: most }),
    today: today === undefined ? null : (({ id: _, ...view }) => view)(today),
  };
}

async function listWorkers(database: Database): Promise<WorkerView[]> {
  return database.many<WorkerView>(
    sql`SELECT workers.id, host, pid, sandbox, started_at AS "startedAt",
          (SELECT count(*) FROM runs WHERE runs.worker_id = workers.id)::integer AS runs
        FROM workers ORDER BY started_at`,
  );
}
