import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../../server/clock.ts';
import type { Database } from '../../server/database/database.ts';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../server/database/test-database.ts';
import { LeaseLost } from '../../server/errors.ts';
import { Journal } from '../../server/runs/journal.ts';
import { claimRuns, endRun, type Lease, parkRun } from '../../server/runs/lease.ts';
import { LeaseWatch } from '../../server/runs/lease-watch.ts';
import { until } from '../start-app.ts';

/*
 * A write under the old token and the taking away of the lease, in every order in which two connections can
 * interleave them. Each side is held open in its transaction, and PostgreSQL itself says who waits for whom.
 * What must never be: a step of the old token that commits after the new token can be seen.
 */

let shared: TestDatabase;
let database: Database;
let lease: Lease;
let next = 0;

beforeAll(async () => {
  shared = await createTestDatabase();
  database = shared.database;
  await database.many(
    sql`INSERT INTO principals (id, kind, name, role) VALUES ('agt_1', 'agent', 'dev', 'agent')`,
  );
  await database.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, playbook, policy)
        VALUES ('agt_1', 'dev', 'developer', '', 'recorded/tiny', 'coder', '[]')`,
  );
  await database.many(sql`INSERT INTO projects (id, name, location) VALUES ('prj_1', 'p', '/p')`);
});
afterAll(() => shared[Symbol.asyncDispose]());

beforeEach(async () => {
  next += 1;
  for (const query of clear) await database.many(query);
  const [taskId, runId] = [`task_${next}`, `run_${next}`];
  await database.many(
    sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, created_by)
        VALUES (${taskId}, 'prj_1', 't', 'i', 'medium', 'in_progress', 'owner')`,
  );
  await database.many(
    sql`INSERT INTO runs (id, kind, task_id, agent_id, model, status, waiting, wake_at)
        VALUES (${runId}, 'task', ${taskId}, 'agt_1', 'recorded/tiny', 'queued', '{}', now() - interval '1 hour')`,
  );
  lease = await claim('wrk_old');
});

/** One run at a time: a claim and a look must see no other. */
const clear = [sql`DELETE FROM steps`, sql`DELETE FROM runs`, sql`DELETE FROM tasks`];

async function claim(workerId: string): Promise<Lease> {
  const [claimed] = await claimRuns(database, { workerId, limit: 1, leaseSeconds: 1, now: Date.now() });
  if (claimed === undefined) throw new Error('nothing was due');
  return claimed;
}

/** The same database, whose next write or transaction stays open, done but not committed, until let go. */
function holdOpen(inner: Database) {
  const done = Promise.withResolvers<void>();
  const go = Promise.withResolvers<'commit' | 'roll back'>();
  const settle = async () => {
    done.resolve();
    if ((await go.promise) === 'roll back') throw new Error('rolled back by the test');
  };
  const held: Database = {
    ...bound(inner),
    transaction: (name, body) =>
      inner.transaction(name, async (transaction) => {
        const result = await body(transaction);
        await settle();
        return result;
      }),
    write: (name, query) =>
      inner.transaction(name, async (transaction) => {
        const rows = await transaction.many<never>(query);
        await settle();
        return rows;
      }),
  };
  return {
    held,
    done: done.promise,
    commit: () => go.resolve('commit'),
    rollBack: () => go.resolve('roll back'),
  };
}

const bound = (inner: Database): Database => ({
  many: (query) => inner.many(query),
  maybe: (query) => inner.maybe(query),
  one: (query) => inner.one(query),
  write: (name, query) => inner.write(name, query),
  transaction: (name, body) => inner.transaction(name, body),
  listen: (channel, onNotify) => inner.listen(channel, onNotify),
  session: () => inner.session(),
  close: () => inner.close(),
});

/** Takes the lease away as the watch does, whose clock says that a lease's length has passed. */
async function expire(through: Database): Promise<void> {
  let now = 0;
  const clock: Clock = {
    now: () => Date.now(),
    monotonic: () => now,
    // The watch's own loop only waits; the looks are the test's.
    sleep: () => Promise.resolve(),
  };
  await using watch = new LeaseWatch({
    database: through,
    clock,
    log: pino({ level: 'silent' }),
    leaseSeconds: 3_600,
  });
  await watch.look();
  now = 3_600_000;
  await watch.look();
}

/** Waits until PostgreSQL says that so many sessions of this database wait for another's row. */
async function awaitBlocked(count = 1): Promise<void> {
  await until(async () => {
    const blocked = await database.many(
      sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return blocked.length >= count ? true : undefined;
  }, 'a session waits for a lock');
}

async function readToken(): Promise<number> {
  const row = await database.one<{ token: number }>(
    sql`SELECT lease_token AS token FROM runs WHERE id = ${lease.runId}`,
  );
  return row.token;
}

async function countSteps(): Promise<number> {
  const row = await database.one<{ count: number }>(
    sql`SELECT count(*) FROM steps WHERE run_id = ${lease.runId}`,
  );
  return row.count;
}

const note = { kind: 'note', name: 'note', intent: {} } as const;

/** Every way in which the holder of a lease writes. */
const writes: [name: string, write: (through: Database) => Promise<unknown>][] = [
  ['an intent', async (through) => (await Journal.open(through, lease)).intend(note)],
  [
    'a record with what belongs to it',
    async (through) =>
      (await Journal.open(through, lease)).record(note, { status: 'done' }, async () => undefined),
  ],
  [
    'a result',
    async (through) => {
      const journal = await Journal.open(through, lease);
      return journal.complete(journal.steps[0]?.seq ?? 0, { status: 'done' });
    },
  ],
  ['an end', (through) => endRun(through, lease, { status: 'succeeded', outcome: 'done' })],
  [
    'a park',
    async (through) => {
      const waiting = {
        on: 'timer',
        ref: null,
        reason: '',
        owner: 'owner',
        deadline: '',
        atDeadline: 'retry',
      } as const;
      const parked = await parkRun(through, lease, {
        waiting,
        wakeAt: null,
        status: 'waiting',
        seenWakeCount: 0,
      });
      expect(parked).toBe(true);
    },
  ],
];

async function openStepFor(name: string): Promise<void> {
  if (name === 'a result') await (await Journal.open(database, lease)).intend(note);
}

test.each(writes)('%s that came first holds the claim back until it is committed', async (name, write) => {
  await openStepFor(name);
  const writing = holdOpen(database);
  const written = write(writing.held);
  await writing.done;
  const expired = expire(database);
  await awaitBlocked();
  expect(await readToken()).toBe(lease.token);
  writing.commit();
  await written;
  await expired;
  const ends = name === 'an end' || name === 'a park';
  // A holder that let go by itself leaves nothing to take away.
  expect(await readToken()).toBe(ends ? lease.token : lease.token + 1);
  await expect(write(database)).rejects.toThrow(LeaseLost);
});

test.each(writes)(
  '%s that comes second waits, and then finds that the lease is lost',
  async (name, write) => {
    await openStepFor(name);
    const before = await countSteps();
    const expiring = holdOpen(database);
    const expired = expire(expiring.held);
    await expiring.done;
    // Its statement began while the old token was the one to be seen.
    const written = expect(write(database)).rejects.toThrow(LeaseLost);
    await awaitBlocked();
    expiring.commit();
    await written;
    await expired;
    expect(await readToken()).toBe(lease.token + 1);
    expect(await countSteps()).toBe(before);
    const open = await database.one(
      sql`SELECT count(*) FROM steps WHERE run_id = ${lease.runId} AND status <> 'intended'`,
    );
    expect(open).toEqual({ count: 0 });
  },
);

test.each(writes)('%s goes on where the claim that it waited for was rolled back', async (name, write) => {
  await openStepFor(name);
  const expiring = holdOpen(database);
  const expired = expect(expire(expiring.held)).rejects.toThrow('rolled back by the test');
  await expiring.done;
  const written = write(database);
  await awaitBlocked();
  expiring.rollBack();
  await expired;
  await written;
  expect(await readToken()).toBe(lease.token);
});

test('a claim that is not committed yet lets nobody write: neither the old token nor the new', async () => {
  const journal = await Journal.open(database, lease);
  await expire(database);
  const claiming = holdOpen(database);
  const claimed = claimRuns(claiming.held, {
    workerId: 'wrk_new',
    limit: 1,
    leaseSeconds: 1,
    now: Date.now(),
  });
  await claiming.done;
  await expect(journal.intend(note)).rejects.toThrow(LeaseLost);
  const early = { ...lease, workerId: 'wrk_new', token: lease.token + 2 };
  await expect(Journal.open(database, early)).rejects.toThrow(LeaseLost);
  claiming.commit();
  const [fresh] = await claimed;
  expect(fresh?.token).toBe(lease.token + 2);
  await expect(journal.intend(note)).rejects.toThrow(LeaseLost);
  expect((await (await Journal.open(database, early)).intend(note)).seq).toBe(1);
});

test('a write and a claim that wait behind a third transaction: whoever is first, no old step follows the new token', async () => {
  const journal = await Journal.open(database, lease);
  const release = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const third = database.transaction('test.hold', async (transaction) => {
    await transaction.many(sql`SELECT 1 FROM runs WHERE id = ${lease.runId} FOR UPDATE`);
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  const written = journal.intend(note).then(
    () => 'written' as const,
    (error: unknown) => error,
  );
  await awaitBlocked(1);
  const expired = expire(database);
  await awaitBlocked(2);
  release.resolve();
  await third;
  await expired;
  const outcome = await written;
  expect(await readToken()).toBe(lease.token + 1);
  if (outcome === 'written') expect(await countSteps()).toBe(1);
  else {
    expect(outcome).toBeInstanceOf(LeaseLost);
    expect(await countSteps()).toBe(0);
  }
});
