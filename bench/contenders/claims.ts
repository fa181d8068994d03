import { json, sql } from '../../server/database/sql.ts';
import { type Claim, claimTasks } from '../../server/domain/tasks/claims.ts';
import { completeAndClaim, completeTask, completeTasks } from '../../server/domain/tasks/completing.ts';
import { newId } from '../../server/ids.ts';
import type { Store } from '../measure/store.ts';
import type { ClaimContender } from './claim-contender.ts';

const everything = { projects: null };

interface Worker {
  database: Store['database'];
  agent: { id: string; name: string };
  batch: number;
}

const nextOf = ({ agent, batch }: Worker) => ({
  agent,
  actor: everything,
  count: batch,
  leaseSeconds: 60,
  now: Date.now(),
});

function doneWith(claims: readonly Claim[]) {
  if (claims.length === 0) throw new Error('there is no task left to claim');
  return claims.map(({ task, leaseToken }) => ({ taskId: task.id, leaseToken, result: { ok: true } }));
}

/** How the same API is used by workers of three kinds. */
const ways = {
  /** A claim, and then its completion. */
  async apart(worker: Worker, tasks: number) {
    const { database, agent } = worker;
    for (let left = tasks; left > 0; left--) {
      const [item] = doneWith(await claimTasks(database, nextOf(worker)));
      if (item !== undefined) await completeTask(database, { ...item, agent }, Date.now());
    }
  },
  /** The next is claimed with the completion of those before. */
  async inTurns(worker: Worker, tasks: number) {
    const { database, agent, batch } = worker;
    let claims = await claimTasks(database, nextOf(worker));
    for (let left = tasks - claims.length; left > 0; left -= batch)
      ({ claims } = await completeAndClaim(database, nextOf(worker), doneWith(claims)));
    await completeTasks(database, agent, doneWith(claims), Date.now());
  },
  /** The next are claimed while those before are told to be done. */
  async sideBySide(worker: Worker, tasks: number) {
    const { database, agent } = worker;
    let telling: Promise<unknown> = Promise.resolve();
    for (let left = tasks; left > 0; ) {
      const items = doneWith(await claimTasks(database, nextOf(worker)));
      await telling;
      telling = completeTasks(database, agent, items, Date.now());
      left -= items.length;
    }
    await telling;
  },
};

/** Our claims, as the routes make them, with the sequencer beside them that numbers and chains each event. */
export async function openClaims(
  store: Store,
  options: { name: string; batch: number; way: keyof typeof ways },
): Promise<ClaimContender> {
  const { database } = store;
  const agent = { id: newId('agt'), name: `hand-${options.way}-${options.batch}` };
  const projectId = newId('prj');
  await database.many(
    sql`INSERT INTO principals (id, kind, name, role) VALUES (${agent.id}, 'agent', ${agent.name}, 'agent')`,
  );
  await database.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, playbook, policy, runtime, capacity, heartbeat_seconds)
        VALUES (${agent.id}, ${agent.name}, 'worker', '', 'external', 'external', '[]', 'foreign', ${options.batch * 2}, 30)`,
  );
  await database.many(
    sql`INSERT INTO projects (id, name, review_required) VALUES (${projectId}, ${options.name}, false)`,
  );
  const drain = ways[options.way];
  return {
    name: options.name,
    async fill(tasks) {
      const ids = Array.from({ length: tasks }, () => newId('task'));
      await database.many(
        sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, waiting, ready_at, created_by)
            SELECT id, ${projectId}, 'bench', 'bench', 'medium', 'pending', ${json({ on: 'queue' })}, now(), 'bench'
            FROM unnest(${ids}::text[]) AS id`,
      );
    },
    async drain(tasks) {
      const began = performance.now();
      await drain({ database, agent, batch: options.batch }, tasks);
      const took = performance.now() - began;
      await store.allNumbered();
      return took / tasks;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
