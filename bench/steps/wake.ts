import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../server/clock.ts';
import type { Database } from '../../server/database/database.ts';
import { sql } from '../../server/database/sql.ts';
import { fullActor } from '../../server/domain/actor.ts';
import { decideAsk, openAsk } from '../../server/domain/asks/asks.ts';
import { newId } from '../../server/ids.ts';
import { type Driver, Worker } from '../../server/runs/worker.ts';
import { log, queueBenchRun, type Store } from '../measure/store.ts';

const repeats = 200;
const limitMs = 30_000;
const person = fullActor({ id: 'prn_bench', name: 'bench', role: 'admin' });

interface WakeTimes {
  /** Milliseconds until the driver is called, since COMMIT had returned. */
  fromCommit: number[];
  /** Since the call that decided the ask, so with its transaction. */
  fromCall: number[];
}

/** A run that waits for an ask, decided 200 times; a worker drives it as in a server. */
export async function measureWake(store: Store): Promise<WakeTimes> {
  await using stack = new AsyncDisposableStack();
  const { database } = store;

  let called = Promise.withResolvers<{ at: number; askId: string }>();
  const driver: Driver = async ({ run }) => {
    const at = performance.now();
    const askId = await openBenchAsk(database, run);
    called.resolve({ at, askId });
    return { kind: 'park', waiting: waitingFor(askId), wakeAt: null, status: 'waiting' };
  };
  const worker = stack.use(
    new Worker({
      id: newId('wrk'),
      database,
      clock: systemClock,
      log,
      sandbox: 'unsafe',
      drivers: { task: driver, merge: driver, revert: driver, push: driver },
      giveUp: () => Promise.resolve(),
      capacity: 4,
      leaseSeconds: 15,
    }),
  );
  const { runId } = await queueBenchRun(database);
  await worker.start();

  const times: WakeTimes = { fromCommit: [], fromCall: [] };
  for (let { askId } = await within(called.promise); times.fromCall.length < repeats; ) {
    await untilParked(database, runId);
    called = Promise.withResolvers();
    const asked = performance.now();
    await decideAsk(database, person, askId, { decision: 'approve', answer: '' }, systemClock.now());
    const committed = performance.now();
    const next = await within(called.promise);
    times.fromCommit.push(next.at - committed);
    times.fromCall.push(next.at - asked);
    askId = next.askId;
  }
  return times;
}

async function openBenchAsk(database: Database, run: { runId: string; taskId: string }): Promise<string> {
  const id = newId('ask');
  await database.transaction('bench.ask', (transaction) =>
    openAsk(transaction, {
      id,
      runId: run.runId,
      taskId: run.taskId,
      kind: 'approval',
      question: 'Go on?',
      detail: {},
      actionHash: 'f'.repeat(64),
      owner: person.name,
      deadlineAt: systemClock.now() + 3_600_000,
      defaultDecision: 'deny',
      actor: person.name,
    }),
  );
  return id;
}

const waitingFor = (askId: string) => ({
  on: 'ask' as const,
  ref: askId,
  reason: 'bench',
  owner: person.name,
  deadline: new Date(systemClock.now() + 3_600_000).toISOString(),
  atDeadline: 'deny' as const,
});

/** Until the run waits and the worker has nothing left to look at. */
async function untilParked(database: Database, runId: string): Promise<void> {
  const query = sql`SELECT 1 FROM runs WHERE id = ${runId} AND status = 'waiting'`;
  for (const end = performance.now() + limitMs; performance.now() < end; await sleep(2)) {
    if ((await database.maybe(query)) === undefined) continue;
    // A person's decision comes at any moment of the pollers' beats.
    await sleep(20 + Math.random() * 30);
    return;
  }
  throw new Error(`the run was not parked within ${limitMs} ms`);
}

async function within<T>(promise: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const late = sleep(limitMs, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`the driver was not called within ${limitMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    limit.abort();
    late.catch(() => undefined);
  }
}
