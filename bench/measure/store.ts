import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCommitHook } from '../../server/database/commit-hook.ts';
import type { Connection } from '../../server/database/connection.ts';
import type { Database } from '../../server/database/database.ts';
import { startEmbedded } from '../../server/database/embedded.ts';
import { loadMigrations, migrate } from '../../server/database/migrate.ts';
import { openDatabase } from '../../server/database/postgres.ts';
import { sql } from '../../server/database/sql.ts';
import { Sequencer } from '../../server/events/sequencer.ts';
import { newId } from '../../server/ids.ts';
import { openLog } from '../../server/log.ts';
import { claimRuns, type Lease } from '../../server/runs/lease.ts';

export const log = openLog('error');
export const benchWorker = 'wrk_bench';

export interface Store extends AsyncDisposable {
  connection: Connection;
  /** As in a server: a pool whose commits wake the sequencer. */
  database: Database;
  /** Connections of their own, without that. */
  open(): Promise<Database>;
  /** Until every event has its number, so that nobody pays for another's. */
  allNumbered(): Promise<void>;
}

/** The embedded PostgreSQL with the settings of production, on disk and synced, in a folder of its own. */
export async function startStore(): Promise<Store> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'mission-bench-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const server = started.use(await startEmbedded({ folder, log, endsWithUs: true }));
  const { connection } = server;
  const open = () => openDatabase({ connection, crashPoints: { reach: () => undefined }, log });
  const plain = await open();
  started.defer(() => plain.close());
  await migrate(plain, await loadMigrations(join(import.meta.dirname, '..', '..', 'migrations')));
  const sequencer = started.use(new Sequencer({ database: plain, log }));
  const database = withCommitHook(plain, () => sequencer.poke());
  await database.many(
    sql`INSERT INTO principals (id, kind, name, role) VALUES ('agt_bench', 'agent', 'bench', 'agent')`,
  );
  await database.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, playbook, policy)
        VALUES ('agt_bench', 'bench', 'developer', '', 'recorded/bench', 'coder', '{}')`,
  );
  await database.many(sql`INSERT INTO projects (id, name, location) VALUES ('prj_bench', 'bench', '/bench')`);
  const running = started.move();
  const left = sql`SELECT 1 AS left FROM event_outbox LIMIT 1`;
  const allNumbered = async () => {
    while ((await plain.maybe(left)) !== undefined) sequencer.poke();
  };
  return { connection, open, database, allNumbered, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** A task and its run, due at once. */
export async function queueBenchRun(database: Database): Promise<{ runId: string; taskId: string }> {
  const [runId, taskId] = [newId('run'), newId('task')];
  await database.many(
    sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, created_by)
        VALUES (${taskId}, 'prj_bench', 'bench', 'bench', 'medium', 'in_progress', 'bench')`,
  );
  await database.many(
    sql`INSERT INTO runs (id, kind, task_id, agent_id, model, status, waiting, wake_at)
        VALUES (${runId}, 'task', ${taskId}, 'agt_bench', 'recorded/bench', 'queued', '{}', now() - interval '1 minute')`,
  );
  return { runId, taskId };
}

/** A run that is claimed by us, to write its steps. */
export async function leaseBenchRun(database: Database): Promise<Lease> {
  await queueBenchRun(database);
  const claim = { workerId: benchWorker, limit: 1, leaseSeconds: 3_600, now: Date.now() };
  const [lease] = await claimRuns(database, claim);
  if (lease === undefined) throw new Error('the run that was just queued could not be claimed');
  return lease;
}
