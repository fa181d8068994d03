import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CloudEvent } from '../../contract/events.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { openLog } from '../log.ts';
import { appendEvents } from './append.ts';
import { EventFeed } from './feed.ts';
import { readHead } from './read.ts';
import { Sequencer } from './sequencer.ts';
import { findBrokenLink } from './verify.ts';

const log = openLog('silent');
const entities = ['ant', 'bee', 'cat', 'dog'];
let home: TestDatabase;
let feed: EventFeed;

beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 16 });
  await home.database.many(sql`CREATE TABLE entity (id text PRIMARY KEY, version integer NOT NULL)`);
  await home.database.many(sql`INSERT INTO entity SELECT id, 0 FROM unnest(${entities}::text[]) AS id`);
  feed = new EventFeed({ database: home.database, log });
  await feed.start();
});
afterAll(async () => {
  await feed[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

interface Plan {
  touched: string[];
  /** Round trips between the last event and the transaction's end: what shuffles the order of the commits. */
  pauses: number;
  commits: boolean;
}

class RolledBack extends Error {}

/** Each event carries its entity's version, which counts the commits on that entity, in their order. */
async function write(name: number, plan: Plan): Promise<string[]> {
  const written: string[] = [];
  try {
    await home.database.transaction('test.write', async (transaction) => {
      for (const id of plan.touched) {
        const { version } = await transaction.one<{ version: number }>(
          sql`UPDATE entity SET version = version + 1 WHERE id = ${id} RETURNING version`,
        );
        const data = { version, writer: name };
        await appendEvents(transaction, [
          { type: 'task.updated', entityType: 'task', entityId: id, actor: 'test', data },
        ]);
        written.push(`${id}:${version}:${name}`);
      }
      for (let pause = 0; pause < plan.pauses; pause++) await transaction.one(sql`SELECT 1 AS one`);
      if (!plan.commits) throw new RolledBack();
    });
    return written;
  } catch (error) {
    if (error instanceof RolledBack) return [];
    throw error;
  }
}

async function followTo(last: Promise<number>, after: number): Promise<CloudEvent[]> {
  const stop = new AbortController();
  const seen: CloudEvent[] = [];
  const stopAtLast = async () => {
    const end = await last;
    for (;;) {
      if ((seen.at(-1)?.sequence ?? after) >= end) return stop.abort();
      await more.promise;
    }
  };
  let more = Promise.withResolvers<void>();
  const stopping = stopAtLast();
  for await (const events of feed.follow({ after }, stop.signal)) {
    seen.push(...events);
    more.resolve();
    more = Promise.withResolvers();
  }
  await stopping;
  return seen;
}

/** Cuts the connection of whoever numbers events now; another takes over. */
const killLeader = () =>
  home.database.many(
    sql`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4700001 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );

const plans = fc.array(
  fc.record({
    // In one order, so that no two wait for one another.
    touched: fc.subarray(entities, { minLength: 1, maxLength: 3 }),
    pauses: fc.nat(4),
    commits: fc.integer({ min: 0, max: 3 }).map((draw) => draw > 0),
  }),
  { minLength: 8, maxLength: 40 },
);

test('every follower sees each committed event once, in one order, dense, an entity in the order of its commits', async () => {
  await fc.assert(
    fc.asyncProperty(
      plans,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 4 }),
      fc.nat(7),
      async (transactions, places, killAt) => {
        const before = await readHead(home.database);
        const last = Promise.withResolvers<number>();
        const cursors = [0, before, ...places.map((place) => Math.floor(place * before))];
        const following = cursors.map((after) => followTo(last.promise, after));
        await using competing = new AsyncDisposableStack();
        const sequencers = [1, 2, 3].map(() =>
          competing.use(new Sequencer({ database: home.database, log })),
        );
        const writing = transactions.map(async (plan, name) => {
          const written = await write(name, plan);
          if (name === killAt) await killLeader();
          for (const sequencer of sequencers) sequencer.poke();
          return written;
        });
        const committed = (await Promise.all(writing)).flat();
        last.resolve(before + committed.length);
        const seen = await Promise.all(following);

        const whole = seen[0] ?? [];
        expect(whole.map((event) => event.sequence)).toEqual(
          Array.from({ length: before + committed.length }, (_, index) => index + 1),
        );
        for (const [index, after] of cursors.entries()) expect(seen[index]).toEqual(whole.slice(after));
        const fresh = whole
          .slice(before)
          .map((event) => `${event.subject.slice(5)}:${event.data['version']}:${event.data['writer']}`);
        expect(fresh.toSorted()).toEqual(committed.toSorted());
        for (const entity of entities) {
          const versions = whole
            .filter((event) => event.subject === `task/${entity}`)
            .map((event) => event.data['version']);
          expect(versions).toEqual(versions.map((_, index) => index + 1));
        }
      },
    ),
    { numRuns: 15 },
  );
  expect(await findBrokenLink(home.database)).toBeNull();
});
