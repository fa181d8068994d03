import { afterAll, beforeAll, expect, test } from 'vitest';
import { canonicalJson } from '../../contract/canonical-json.ts';
import type { CloudEvent } from '../../contract/events.ts';
import { withCommitHook } from '../database/commit-hook.ts';
import type { Database, Transaction } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { AppError } from '../errors.ts';
import { openLog } from '../log.ts';
import { appendEvents } from './append.ts';
import { EventFeed } from './feed.ts';
import { readHead } from './read.ts';
import { Sequencer } from './sequencer.ts';
import { findBrokenLink } from './verify.ts';

const log = openLog('silent');
let home: TestDatabase;
let database: Database;
let sequencer: Sequencer;

beforeAll(async () => {
  home = await createTestDatabase();
  sequencer = new Sequencer({ database: home.database, log });
  database = withCommitHook(home.database, () => sequencer.poke());
});
afterAll(async () => {
  await sequencer[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

const event = (name: string, data: Record<string, unknown> = {}) =>
  ({ type: 'task.updated', entityType: 'task', entityId: name, actor: 'test', data }) as const;
const append = (...names: string[]) =>
  database.transaction('test.append', (transaction) =>
    appendEvents(
      transaction,
      names.map((name) => event(name)),
    ),
  );

/** A follower from the log's end, as a reader that hands out one event at a time. */
async function openFollower(over: Database = database) {
  const stack = new AsyncDisposableStack();
  const feed = stack.use(new EventFeed({ database: over, log }));
  await feed.start();
  const stop = new AbortController();
  const batches = feed.follow({ after: await readHead(database) }, stop.signal);
  const queue: CloudEvent[] = [];
  stack.defer(async () => {
    stop.abort();
    await batches.return(undefined);
  });
  return {
    async next(): Promise<string> {
      while (queue.length === 0) queue.push(...((await batches.next()).value ?? []));
      return queue.shift()?.subject.slice('task/'.length) ?? '';
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const terminate = async (which: string) => {
  const rows = await database.many<{ ended: boolean }>(
    sql`SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE ${which}`,
  );
  expect(rows.length).toBeGreaterThan(0);
};

test('of two overlapping transactions the one that commits first comes first, and the other is not skipped', async () => {
  await using follower = await openFollower();
  const inserted = Promise.withResolvers<void>();
  const mayCommit = Promise.withResolvers<void>();
  const slow = database.transaction('test.slow', async (transaction) => {
    await appendEvents(transaction, [event('slow')]);
    inserted.resolve();
    await mayCommit.promise;
  });
  await inserted.promise;
  await append('quick');
  expect(await follower.next()).toBe('quick');
  mayCommit.resolve();
  await slow;
  expect(await follower.next()).toBe('slow');
});

test('a follower keeps its place when its connections are cut', async () => {
  await using follower = await openFollower();
  await append('a');
  expect(await follower.next()).toBe('a');
  await terminate('LISTEN%');
  await append('b', 'c');
  await append('d');
  expect([await follower.next(), await follower.next(), await follower.next()]).toEqual(['b', 'c', 'd']);
});

test('a follower keeps its place over a read that fails', async () => {
  let failures = 0;
  let away = false;
  const flaky: Database = {
    ...withCommitHook(database, () => undefined),
    many: async (query) => {
      if (!away) return database.many(query);
      failures += 1;
      away = failures < 2;
      throw new AppError('database_unavailable', 'away');
    },
  };
  await using follower = await openFollower(flaky);
  await append('a');
  expect(await follower.next()).toBe('a');
  away = true;
  const next = follower.next();
  await append('b');
  expect(await next).toBe('b');
  await append('c');
  expect(await follower.next()).toBe('c');
  expect(failures).toBe(2);
});

test('the log refuses to be changed', async () => {
  await append('kept');
  for (const statement of [
    sql`UPDATE events SET actor = 'another'`,
    sql`DELETE FROM events`,
    sql`TRUNCATE events`,
  ]) {
    await expect(database.many(statement)).rejects.toThrow('append-only');
  }
});

class Undo extends Error {}

/** Does what an attacker with the owner's rights could, looks, and takes it back. */
async function tamper(change: (transaction: Transaction) => Promise<unknown>): Promise<number | null> {
  let found: number | null = null;
  const attempt = database.transaction('test.tamper', async (transaction) => {
    await transaction.many(sql`ALTER TABLE events DISABLE TRIGGER events_append_only`);
    await change(transaction);
    found = await findBrokenLink(transaction);
    throw new Undo();
  });
  await expect(attempt).rejects.toThrow(Undo);
  return found;
}

test('the chain names the number at which the log was tampered with', async () => {
  await using follower = await openFollower();
  await append('1', '2', '3', '4', '5', '6');
  for (let count = 0; count < 6; count++) await follower.next();
  const head = await readHead(database);
  const at = head - 2;
  expect(await tamper(async () => undefined)).toBeNull();
  const changes = ['actor', 'entity_id', 'type', 'id'].map((column) => ({
    parts: [`UPDATE events SET ${column} = 'forged' WHERE sequence = ${at}`],
    values: [],
  }));
  for (const change of [
    ...changes,
    sql`UPDATE events SET data = '{"forged":true}' WHERE sequence = ${at}`,
    sql`UPDATE events SET time = time + interval '1 millisecond' WHERE sequence = ${at}`,
    sql`UPDATE events SET task_id = 'forged' WHERE sequence = ${at}`,
    sql`DELETE FROM events WHERE sequence = ${at}`,
  ]) {
    expect(await tamper((transaction) => transaction.many(change))).toBe(at);
  }
  const insert = (sequence: number) =>
    sql`INSERT INTO events SELECT ${sequence}::bigint, 'evt_forged', type, entity_type, entity_id, task_id, run_id, actor, data, time, hash FROM events WHERE sequence = 1`;
  expect(await tamper((transaction) => transaction.many(insert(head + 1)))).toBe(head + 1);
  const insertBetween = async (transaction: Transaction) => {
    await transaction.many(sql`UPDATE events SET sequence = -sequence WHERE sequence >= ${at}`);
    await transaction.many(sql`UPDATE events SET sequence = 1 - sequence WHERE sequence < 0`);
    await transaction.many(insert(at));
  };
  expect(await tamper(insertBetween)).toBe(at);
});

test('an event with text that PostgreSQL cannot hold is stored without it, and the chain holds', async () => {
  await using follower = await openFollower();
  await database.transaction('test.append', (transaction) =>
    appendEvents(transaction, [
      event('odd', { text: 'a\u0000b\ud800c', deep: { '\u0000': [1, -0, 1e300] } }),
    ]),
  );
  expect(await follower.next()).toBe('odd');
  const row = await database.one<{ data: unknown }>(
    sql`SELECT data FROM events ORDER BY sequence DESC LIMIT 1`,
  );
  expect(row.data).toEqual({ text: 'a\ufffdb\ufffdc', deep: { '\ufffd': [1, 0, 1e300] } });
  expect(await findBrokenLink(database)).toBeNull();
});

test('equal values have equal canonical text', () => {
  expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined, A: true })).toBe(
    canonicalJson({ A: true, b: [1, { c: 'x', d: null }] }),
  );
  expect(canonicalJson({ b: 1, a: 2 })).toBe('{"a":2,"b":1}');
});
