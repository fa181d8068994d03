import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChainPlace } from '../../contract/audit.ts';
import { systemClock } from '../clock.ts';
import { withCommitHook } from '../database/commit-hook.ts';
import type { Database, Transaction } from '../database/database.ts';
import { type Sql, sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { openLog } from '../log.ts';
import { ChainAnchors } from './anchors.ts';
import { appendEvents } from './append.ts';
import { chainHash } from './chain.ts';
import type { EventRow } from './read.ts';
import { Sequencer } from './sequencer.ts';
import { genesis, readChainHead, walkChain } from './verify.ts';

const log = openLog('silent');
const total = 30;
let home: TestDatabase;
let database: Database;
let sequencer: Sequencer;

beforeAll(async () => {
  home = await createTestDatabase();
  sequencer = new Sequencer({ database: home.database, log });
  database = withCommitHook(home.database, () => sequencer.poke());
  for (let written = 0; written < total; written++) {
    await database.transaction('test.append', (transaction) =>
      appendEvents(transaction, [
        { type: 'task.updated', entityType: 'task', entityId: `task_${written}`, actor: 'test' },
      ]),
    );
  }
  while ((await readChainHead(database)).sequence < total) sequencer.poke();
});
afterAll(async () => {
  await sequencer[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

class Undo extends Error {}

/** Does what a superuser could, with the trigger out of the way, looks, and takes it back. */
async function tamper(
  statements: readonly Sql[] | ((transaction: Transaction) => Promise<void>),
  anchors: ChainPlace[] = [],
) {
  const found = Promise.withResolvers<unknown>();
  const attempt = database.transaction('test.tamper', async (transaction) => {
    await transaction.many(sql`ALTER TABLE events DISABLE TRIGGER events_append_only`);
    if (typeof statements === 'function') await statements(transaction);
    else for (const statement of statements) await transaction.many(statement);
    found.resolve((await walkChain(transaction, genesis, 1_000, anchors)).fault);
    throw new Undo();
  });
  await expect(attempt).rejects.toThrow(Undo);
  return found.promise;
}

test('a changed row, a removed row and a cut tail are each found and named', async () => {
  const head = await readChainHead(database);
  expect(await tamper([], [head])).toBeNull();
  expect(await tamper([sql`UPDATE events SET actor = 'another' WHERE sequence = 7`])).toEqual({
    kind: 'changed',
    sequence: 7,
    until: 7,
  });
  expect(await tamper([sql`DELETE FROM events WHERE sequence BETWEEN 7 AND 9`])).toEqual({
    kind: 'removed',
    sequence: 7,
    until: 9,
  });
  const cut = [sql`DELETE FROM events WHERE sequence > 25`];
  expect(await tamper(cut)).toBeNull();
  expect(await tamper(cut, [head])).toEqual({ kind: 'cut', sequence: 26, until: total });
});

test('a chain that was computed anew holds in itself, and not against a place kept outside', async () => {
  const head = await readChainHead(database);
  const rewrite = async (transaction: Transaction) => {
    const rows = await transaction.many<EventRow>(sql`SELECT * FROM events ORDER BY sequence`);
    let { hash } = genesis;
    for (const row of rows) {
      const actor = row.sequence === 12 ? 'another' : row.actor;
      hash = chainHash(hash, { ...row, actor });
      await transaction.many(
        sql`UPDATE events SET actor = ${actor}, hash = ${hash} WHERE sequence = ${row.sequence}`,
      );
    }
  };
  expect(await tamper(rewrite)).toBeNull();
  expect(await tamper(rewrite, [head])).toEqual({ kind: 'rewritten', sequence: total, until: total });
});

test('a walk in parts finds what a whole one does', async () => {
  let place = genesis;
  for (let parts = 1; ; parts++) {
    const walk = await walkChain(database, place, 7);
    expect(walk.fault).toBeNull();
    place = walk.place;
    if (!walk.ended) continue;
    expect(parts).toBe(5);
    break;
  }
  expect(place).toEqual(await readChainHead(database));
  const forged = { ...place, hash: '1'.repeat(64), sequence: 10 };
  expect((await walkChain(database, forged, 7)).fault).toEqual({ kind: 'changed', sequence: 11, until: 11 });
});

test('the newest place is written down at the start and the stop, and a line that was cut says nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'anchors-'));
  try {
    const file = join(folder, 'audit-anchor');
    const open = () => new ChainAnchors({ database, clock: systemClock, log, file });
    const head = await readChainHead(database);
    {
      await using anchors = open();
      await anchors.start();
    }
    expect(await readFile(file, 'utf8')).toMatch(new RegExp(`^\\S+Z ${total}:${head.hash}\n$`));
    await appendFile(file, `2030-01-01T00:00:00.000Z ${total + 1}:abc`);
    expect(await open().read()).toEqual([head]);
    expect(await open().findFault()).toBeNull();
    await appendFile(file, `\n2030-01-01T00:00:00.000Z ${total + 5}:${'0'.repeat(64)}\n`);
    expect(await open().findFault()).toContain(`ends before event ${total + 5}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
