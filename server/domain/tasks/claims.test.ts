import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { openLog } from '../../log.ts';
import { LeaseWatch } from '../../runs/lease-watch.ts';
import { VirtualClock } from '../../runs/runs-fixture.ts';
import { resumeAgent, suspendAgent } from '../agents/presence.ts';
import type { Claim } from './claims.ts';
import { refuseClaim } from './claims.ts';
import { completeAndClaim, completeTask, completeTasks } from './completing.ts';
import { addDependency } from './dependencies.ts';
import { cancelTask } from './end-task.ts';
import { blockTask, heartbeatTask, releaseTask } from './holding.ts';
import { acceptTask, endTaskWait, sendTaskBack, unblockTask } from './standing.ts';
import { getTask } from './task-rows.ts';
import { admin, House } from './tasks-fixture.ts';

let home: TestDatabase;
let house: House;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 16 });
  house = await House.open(home.database);
});
afterAll(() => home[Symbol.asyncDispose]());

const only = (claims: Claim[]): Claim => {
  const [claim] = claims;
  if (claim === undefined || claims.length !== 1) throw new Error(`${claims.length} claims instead of one`);
  return claim;
};
const heldBy = (agent: { id: string; name: string }, { task, leaseToken }: Claim) => ({
  taskId: task.id,
  leaseToken,
  agent,
});

describe('a claim', () => {
  test('gives the most urgent task that fits, under a lease whose run says who holds it', async () => {
    const agent = await house.hire({ skills: ['broom'], capacity: 5 });
    const low = await house.give({ priority: 'low' });
    const high = await house.give({ priority: 'high' });
    const skilled = await house.give({ priority: 'critical', requiredSkills: ['ladder'] });
    const other = await house.hire();
    const others = await house.give({ priority: 'critical', assignee: other.name });
    expect(high.run).toBeNull();
    expect(high.task).toMatchObject({ status: 'pending', waiting: { on: 'queue', owner: 'agents' } });
    const claim = only(await house.claim(agent));
    expect(claim.task).toMatchObject({ id: high.task.id, status: 'in_progress', waiting: null });
    const run = await home.database.one(
      sql`SELECT kind, status, worker_id AS holder, lease_token AS token FROM runs WHERE id = ${claim.runId}`,
    );
    expect(run).toEqual({ kind: 'external', status: 'running', holder: agent.id, token: claim.leaseToken });
    expect(only(await house.claim(agent)).task.id).toBe(low.task.id);
    expect(await house.claim(agent)).toEqual([]);
    expect(only(await house.claim(agent, { skills: ['ladder'] })).task.id).toBe(skilled.task.id);
    expect(only(await house.claim(other)).task.id).toBe(others.task.id);
    expect(await house.told(high.task.id)).toEqual(['task.created', 'task.claimed']);
  });

  test('never exceeds the places of its agent, however many come at once', async () => {
    const agent = await house.hire({ capacity: 3 });
    const given = await Promise.all(Array.from({ length: 8 }, () => house.give()));
    const claims = (await Promise.all(Array.from({ length: 8 }, () => house.claim(agent)))).flat();
    expect(claims).toHaveLength(3);
    expect(new Set(claims.map(({ task }) => task.id)).size).toBe(3);
    for (const claim of claims)
      await releaseTask(home.database, heldBy(agent, claim), { reason: '', now: 0 });
    for (const { task } of given) await cancelTask(house.context, admin, task.id, '');
  });

  test('by many agents at once gives each task to one of them', async () => {
    const agents = await Promise.all(Array.from({ length: 8 }, () => house.hire({ capacity: 50 })));
    const given = await Promise.all(Array.from({ length: 24 }, () => house.give()));
    const claims = (await Promise.all(agents.map((agent) => house.claim(agent, { count: 5 })))).flat();
    expect(claims.map(({ task }) => task.id).sort()).toEqual(given.map(({ task }) => task.id).sort());
    for (const { task } of given) await cancelTask(house.context, admin, task.id, '');
  });

  test('of what cannot be claimed says why', async () => {
    const agent = await house.hire();
    const why = (taskId: string) =>
      refuseClaim(home.database, { agent, actor: agent, count: 1, leaseSeconds: 60, now: 0, taskId });
    await expect(why('task_nothing')).rejects.toMatchObject({ code: 'not_found' });
    const mine = await house.give();
    const holder = await house.hire();
    const claim = only(await house.claim(holder, { taskId: mine.task.id }));
    await expect(why(mine.task.id)).rejects.toThrow(`${holder.name} holds it`);
    const first = await house.give({ assignee: holder.name });
    await expect(why(first.task.id)).rejects.toMatchObject({ code: 'forbidden' });
    const next = await house.give({ dependsOn: [first.task.id] });
    await expect(why(next.task.id)).rejects.toThrow(`waits until ${first.task.id} is completed`);
    await suspendAgent(house.context, admin, agent.id, '');
    expect(await house.claim(agent)).toEqual([]);
    await expect(why(next.task.id)).rejects.toThrow('was suspended by ada');
    await completeTask(home.database, { ...heldBy(holder, claim), result: undefined }, 0);
  });
});

describe('a holder', () => {
  test('completes with its result, in one event, attested, and once', async () => {
    const agent = await house.hire();
    await house.give();
    const claim = only(await house.claim(agent));
    const completion = { ...heldBy(agent, claim), result: { swept: true } };
    const done = await completeTask(home.database, completion, Date.now());
    expect(done).toMatchObject({ id: claim.task.id, status: 'completed' });
    expect(await getTask(home.database, claim.task.id)).toMatchObject({
      status: 'completed',
      result: { swept: true },
      attested: true,
      version: claim.task.version + 1,
    });
    await expect(completeTask(home.database, completion, Date.now())).rejects.toMatchObject({
      code: 'stale_lease',
    });
    expect(await house.told(claim.task.id)).toEqual(['task.created', 'task.claimed', 'task.completed']);
  });

  test('alone writes: neither another agent nor an older token does', async () => {
    const [agent, other] = [await house.hire(), await house.hire()];
    await house.give();
    const old = only(await house.claim(agent));
    await releaseTask(home.database, heldBy(agent, old), { reason: 'not mine', now: Date.now() });
    expect((await getTask(home.database, old.task.id)).status).toBe('pending');
    const claim = only(await house.claim(agent));
    expect(claim.leaseToken).toBeGreaterThan(old.leaseToken);
    for (const held of [heldBy(agent, old), heldBy(other, claim)]) {
      const stale = { code: 'stale_lease' };
      await expect(heartbeatTask(home.database, held, { now: 0 })).rejects.toMatchObject(stale);
      await expect(releaseTask(home.database, held, { reason: '', now: 0 })).rejects.toMatchObject(stale);
      await expect(completeTask(home.database, { ...held, result: {} }, 0)).rejects.toMatchObject(stale);
    }
    await suspendAgent(house.context, admin, agent.id, '');
    await expect(
      completeTask(home.database, { ...heldBy(agent, claim), result: {} }, 0),
    ).rejects.toMatchObject({ code: 'forbidden' });
    await cancelTask(house.context, admin, claim.task.id, 'enough');
    expect(await house.told(claim.task.id)).toEqual([
      'task.created',
      'task.claimed',
      'task.released',
      'task.claimed',
      'task.cancelled',
      'run.stopped',
    ]);
  });

  test('completes many at once; a stale one is told apart', async () => {
    const agent = await house.hire({ capacity: 10 });
    const first = await house.give();
    await Promise.all([house.give(), house.give()]);
    const next = await house.give({ dependsOn: [first.task.id] });
    const claims = await house.claim(agent, { count: 10 });
    expect(claims).toHaveLength(3);
    const items = claims.map((claim) => ({ ...heldBy(agent, claim), result: { text: 'a\0b' } }));
    items.push({ agent, leaseToken: 1, taskId: 'task_nothing', result: { text: '' } });
    const results = await completeTasks(home.database, agent, items, Date.now());
    expect(results.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed', null]);
    expect(only(await house.claim(agent)).task.id).toBe(next.task.id);
  });
});

describe('a turn', () => {
  test('completes, and claims the next into the place that became free', async () => {
    const agent = await house.hire({ capacity: 1 });
    const [first, second] = [await house.give(), await house.give()];
    const held = only(await house.claim(agent));
    const handIn = (claim: Claim, now = Date.now()) =>
      completeAndClaim(home.database, { agent, actor: agent, count: 5, leaseSeconds: 60, now }, [
        { taskId: claim.task.id, leaseToken: claim.leaseToken, result: { swept: true } },
      ]);
    const turn = await handIn(held);
    expect(turn.done).toMatchObject([{ id: first.task.id, status: 'completed' }]);
    const next = only(turn.claims);
    expect(next.task).toMatchObject({ id: second.task.id, status: 'in_progress', waiting: null });
    expect(await house.told(first.task.id)).toEqual(['task.created', 'task.claimed', 'task.completed']);
    expect(await house.told(second.task.id)).toEqual(['task.created', 'task.claimed']);
    // Handed in twice, and while its only place is taken.
    const third = await house.give();
    expect(await handIn(held)).toEqual({ done: [{ id: first.task.id, status: null }], claims: [] });
    const last = only((await handIn(next)).claims);
    expect(last.task.id).toBe(third.task.id);
    expect(await handIn(last)).toMatchObject({ done: [{ status: 'completed' }], claims: [] });
  });

  test('is a sign of life where the last is a second old, and does nothing for a suspended agent', async () => {
    const agent = await house.hire();
    await house.give();
    const claim = only(await house.claim(agent));
    const item = { taskId: claim.task.id, leaseToken: claim.leaseToken, result: undefined };
    const at = Date.now() + 5_000;
    const turn = () =>
      completeAndClaim(home.database, { agent, actor: agent, count: 1, leaseSeconds: 60, now: at }, [item]);
    await suspendAgent(house.context, admin, agent.id, '');
    await expect(turn()).resolves.toEqual({ done: [{ id: claim.task.id, status: null }], claims: [] });
    await resumeAgent(house.context, admin, agent.id);
    expect((await turn()).done).toMatchObject([{ status: 'completed' }]);
    const seen = await home.database.one<{ at: string }>(
      sql`SELECT last_seen_at AS at FROM agents WHERE id = ${agent.id}`,
    );
    expect(Date.parse(seen.at)).toBe(at);
  });
});

describe('a task', () => {
  test('whose holder falls silent is for others, with an event', async () => {
    const clock = new VirtualClock();
    const agent = await house.hire();
    await house.give();
    const claim = only(await house.claim(agent, { leaseSeconds: 15 }));
    const held = heldBy(agent, claim);
    await using watch = new LeaseWatch({
      database: home.database,
      clock,
      log: openLog('silent'),
      leaseSeconds: 1e6,
    });
    await watch.look();
    clock.advance(14_000);
    await watch.look();
    expect(await heartbeatTask(home.database, held, { now: Date.now() })).toEqual({
      control: 'go',
      leaseSeconds: 15,
    });
    await watch.look();
    clock.advance(14_999);
    await watch.look();
    expect((await getTask(home.database, claim.task.id)).status).toBe('in_progress');
    clock.advance(1);
    await watch.look();
    expect(await getTask(home.database, claim.task.id)).toMatchObject({
      status: 'pending',
      waiting: { on: 'queue', owner: 'agents' },
    });
    await expect(heartbeatTask(home.database, held, { now: 0 })).rejects.toMatchObject({
      code: 'stale_lease',
    });
    expect((await house.told(claim.task.id)).at(-1)).toBe('task.lease_expired');
    const again = only(await house.claim(await house.hire()));
    expect(again.task.id).toBe(claim.task.id);
    expect(again.leaseToken).toBeGreaterThan(claim.leaseToken);
    await cancelTask(house.context, admin, claim.task.id, '');
  });

  test('is blocked with an owner and a deadline, at which its default happens', async () => {
    const now = Date.UTC(2030, 0, 1);
    const agent = await house.hire();
    const deadline = new Date(now).toISOString();
    const block = async (atDeadline: 'remind' | 'retry' | 'fail') => {
      const { task } = await house.give();
      const claim = only(await house.claim(agent, { taskId: task.id }));
      await blockTask(home.database, heldBy(agent, claim), {
        reason: 'no key',
        owner: 'olga',
        deadline,
        atDeadline,
      });
      expect(await getTask(home.database, task.id)).toMatchObject({
        status: 'blocked',
        waiting: { on: 'blocker', reason: 'no key', owner: 'olga', deadline, atDeadline },
      });
      await home.database.transaction('test.deadline', (transaction) =>
        endTaskWait(transaction, task.id, now),
      );
      return task.id;
    };
    const reminded = await block('remind');
    expect((await house.told(reminded)).slice(-2)).toEqual(['task.blocked', 'task.overdue']);
    const failed = await block('fail');
    expect((await getTask(home.database, failed)).status).toBe('failed');
    const retried = await block('retry');
    expect(only(await house.claim(agent)).task.id).toBe(retried);
    expect((await unblockTask(house.context, agent, reminded, 'found it')).status).toBe('pending');
    await expect(unblockTask(house.context, agent, reminded, '')).rejects.toMatchObject({
      code: 'wrong_state',
    });
    for (const id of [reminded, retried]) await cancelTask(house.context, admin, id, '');
  });
});

test('where the project wants a review, what is attested stands until a person accepts it', async () => {
  const strict = await House.open(home.database, { project: { reviewRequired: true } });
  const agent = await strict.hire({ name: 'attestor' });
  const { task } = await strict.give();
  const after = await strict.give({ dependsOn: [task.id] });
  const finish = async () => {
    const claim = only(await strict.claim(agent, { taskId: task.id }));
    await completeTask(home.database, { ...heldBy(agent, claim), result: { n: 1 } }, Date.now());
    return getTask(home.database, task.id);
  };
  expect(await finish()).toMatchObject({ status: 'in_review', attested: true, waiting: { on: 'review' } });
  const back = await sendTaskBack(strict.context, admin, task.id, 'corners too');
  expect(back).toMatchObject({ status: 'pending', attested: false });
  expect(back.instructions).toContain('corners too');
  await finish();
  expect((await acceptTask(strict.context, admin, task.id)).status).toBe('completed');
  expect(await getTask(home.database, after.task.id)).toMatchObject({ waiting: { on: 'queue' } });
  await cancelTask(strict.context, admin, after.task.id, '');
});

test('a dependency that is added while its task is being completed is never missed', async () => {
  const agent = await house.hire({ capacity: 20 });
  for (let round = 0; round < 10; round++) {
    const [first, next] = await Promise.all([house.give(), house.give()]);
    const claim = only(await house.claim(agent, { taskId: first.task.id }));
    await Promise.all([
      completeTask(home.database, { ...heldBy(agent, claim), result: {} }, Date.now()),
      addDependency(house.context, admin, next.task.id, first.task.id),
    ]);
    const { task } = only(await house.claim(agent, { taskId: next.task.id }));
    expect(task.status).toBe('in_progress');
  }
});
