import { json, sql } from '../../server/database/sql.ts';
import { claimTasks } from '../../server/domain/tasks/claims.ts';
import { completeTask, completeTasks } from '../../server/domain/tasks/completing.ts';
import { newId } from '../../server/ids.ts';
import type { Store } from '../measure/store.ts';
import type { ClaimContender } from './claim-contender.ts';

const everything = { projects: null };

/** Our claims, as the routes make them, with the sequencer beside them that numbers and chains each event. */
export async function openClaims(
  store: Store,
  options: { name: string; batch: number },
): Promise<ClaimContender> {
  const { database } = store;
  const agent = { id: newId('agt'), name: `hand-${options.batch}` };
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
  const claim = () =>
    claimTasks(database, {
      agent,
      actor: everything,
      count: options.batch,
      leaseSeconds: 60,
      now: Date.now(),
    });
  const one = async () => {
    const [claimed] = await claim();
    if (claimed === undefined) throw new Error('there is no task left to claim');
    const { task, leaseToken } = claimed;
    await completeTask(database, { taskId: task.id, leaseToken, agent, result: { ok: true } }, Date.now());
  };
  /** As a consumer of many does: the next are claimed while those before are told to be done. */
  const many = async (tasks: number) => {
    let telling: Promise<unknown> = Promise.resolve();
    for (let left = tasks; left > 0; ) {
      const claimed = await claim();
      if (claimed.length === 0) throw new Error('there is no task left to claim');
      await telling;
      const items = claimed.map(({ task, leaseToken }) => ({
        taskId: task.id,
        leaseToken,
        result: { ok: true },
      }));
      telling = completeTasks(database, agent, items, Date.now());
      left -= claimed.length;
    }
    await telling;
  };
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
      if (options.batch > 1) await many(tasks);
      else for (let done = 0; done < tasks; done++) await one();
      const took = performance.now() - began;
      await store.allNumbered();
      return took / tasks;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
