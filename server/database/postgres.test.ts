import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../errors.ts';
import { isUniqueViolation } from './database-errors.ts';
import { openDatabase } from './postgres.ts';
import { sql } from './sql.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

const log = pino({ level: 'silent' });
const reached: string[] = [];
const crashPoints = { reach: (name: string) => void reached.push(name) };
const unavailable = { name: 'AppError', code: 'database_unavailable' };

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase({ migrations: [], crashPoints });
  await own.database.many(sql`CREATE TABLE things (id integer CONSTRAINT things_key PRIMARY KEY, text text)`);
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

/** Ends every other connection to the test's database, as a crash or an administrator does. */
async function cutConnections(): Promise<void> {
  const database = await openDatabase({ connection: own.connectionString, crashPoints, log, poolSize: 1 });
  await database.many(sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`);
  await database.close();
}

describe('values', () => {
  test('arrive as the contract says', async () => {
    const row = await own.database.one(sql`
      SELECT ${9007199254740991}::int8 AS large, 1.25::numeric AS amount, ARRAY[1, NULL]::int8[] AS list,
        '2026-01-02 03:04:05.6789+05:30'::timestamptz AS moment, '2026-01-02 03:04:05Z'::timestamptz AS whole,
        ARRAY['2026-01-02 03:04:05Z'::timestamptz] AS moments, '2026-01-02'::date AS day,
        ${JSON.stringify({ a: [1] })}::jsonb AS value, ${['a', 'b']}::text[] AS names, ${null}::text AS nothing`);
    expect(row).toEqual({
      large: 9007199254740991,
      amount: 1.25,
      list: [1, null],
      moment: '2026-01-01T21:34:05.678Z',
      whole: '2026-01-02T03:04:05.000Z',
      moments: ['2026-01-02T03:04:05.000Z'],
      day: '2026-01-02',
      value: { a: [1] },
      names: ['a', 'b'],
      nothing: null,
    });
  });

  test('statements are prepared once a connection', async () => {
    await using session = await own.database.session();
    for (const value of [1, 2, 3]) await session.one(sql`SELECT ${value}::int AS prepared_probe`);
    const rows = await session.many(sql`
      SELECT generic_plans + custom_plans AS runs FROM pg_prepared_statements
      WHERE statement LIKE ${'SELECT $1::int AS prepared%'}`);
    expect(rows).toEqual([{ runs: 3 }]);
  });

  test('`one` without a row is our fault, and `maybe` is undefined', async () => {
    await expect(own.database.one(sql`SELECT 1 WHERE false`)).rejects.toThrow('no row');
    expect(await own.database.maybe(sql`SELECT 1 WHERE false`)).toBeUndefined();
  });
});

describe('writes', () => {
  test('a write reaches its crash points and commits', async () => {
    reached.length = 0;
    const rows = await own.database.write('things.add', sql`INSERT INTO things VALUES (1, 'a') RETURNING id`);
    expect(rows).toEqual([{ id: 1 }]);
    expect(reached).toEqual(['commit:things.add:before', 'commit:things.add:after']);
  });

  test('a violated constraint passes through by its name', async () => {
    const error = await own.database
      .write('again', sql`INSERT INTO things VALUES (1, 'b')`)
      .catch((e: unknown) => e);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'things_key')).toBe(true);
    expect(isUniqueViolation(error, 'another')).toBe(false);
  });

  test('a transaction commits, then runs what waits for the commit', async () => {
    reached.length = 0;
    let seen: unknown;
    const result = await own.database.transaction('two', async (transaction) => {
      transaction.afterCommit(() => {
        seen = [...reached];
      });
      await Promise.all([2, 3].map((id) => transaction.many(sql`INSERT INTO things VALUES (${id}, 'x')`)));
      return 'done';
    });
    expect(result).toBe('done');
    expect(seen).toEqual(['commit:two:before', 'commit:two:after']);
  });

  test('a body that throws leaves nothing, and its error is the one heard', async () => {
    reached.length = 0;
    let leaked: Promise<unknown> | undefined;
    const attempt = own.database.transaction('none', async (transaction) => {
      transaction.afterCommit(() => reached.push('called'));
      await transaction.many(sql`INSERT INTO things VALUES (10, 'x')`);
      leaked = Promise.resolve().then(() => new Promise((resolve) => setImmediate(resolve)));
      leaked = leaked.then(() => transaction.many(sql`SELECT 1`)).catch((error: unknown) => error);
      throw new RangeError('mine');
    });
    await expect(attempt).rejects.toThrow(RangeError);
    expect(reached).toEqual([]);
    expect(await own.database.many(sql`SELECT 1 FROM things WHERE id = 10`)).toEqual([]);
    expect(String(await leaked)).toContain('is over');
  });

  test('a body that hides a failed statement does not look committed', async () => {
    const attempt = own.database.transaction('hidden', async (transaction) => {
      await transaction.many(sql`SELECT 1/0`).catch(() => undefined);
    });
    await expect(attempt).rejects.toThrow('rolled back');
  });

  test('a deadlock runs the victim again', async () => {
    await own.database.many(sql`INSERT INTO things VALUES (20, ''), (21, '')`);
    let runs = 0;
    const bothHold = Promise.withResolvers<void>();
    let holders = 0;
    const append = (first: number, second: number) =>
      own.database.transaction('append', async (transaction) => {
        runs += 1;
        await transaction.many(sql`SET LOCAL deadlock_timeout = '20ms'`);
        await transaction.many(sql`UPDATE things SET text = text || 'x' WHERE id = ${first}`);
        holders += 1;
        if (holders === 2) bothHold.resolve();
        await bothHold.promise;
        await transaction.many(sql`UPDATE things SET text = text || 'x' WHERE id = ${second}`);
      });
    await Promise.all([append(20, 21), append(21, 20)]);
    expect(runs).toBe(3);
    expect(await own.database.many(sql`SELECT text FROM things WHERE id IN (20, 21)`)).toEqual([
      { text: 'xx' },
      { text: 'xx' },
    ]);
  });

  test('what cannot succeed is not repeated without end', async () => {
    let runs = 0;
    const attempt = own.database.transaction('doomed', async (transaction) => {
      runs += 1;
      await transaction.many(sql`DO $$ BEGIN RAISE SQLSTATE '40001'; END $$`);
    });
    await expect(attempt).rejects.toMatchObject({ code: '40001' });
    expect(runs).toBe(4);
  });
});

describe('what breaks', () => {
  test('a cut connection is `database_unavailable`, and the next statement works', async () => {
    const waiting = expect(own.database.many(sql`SELECT pg_sleep(20)`)).rejects.toMatchObject(unavailable);
    const inTransaction = own.database.transaction('cut', async (transaction) => {
      await transaction.many(sql`SELECT 1`);
      await cutConnections();
      await transaction.many(sql`SELECT 2`);
    });
    await expect(inTransaction).rejects.toMatchObject(unavailable);
    await waiting;
    expect(await own.database.one(sql`SELECT 3 AS x`)).toEqual({ x: 3 });
  });

  test('idle connections that are cut harm nothing', async () => {
    await Promise.all([1, 2, 3].map(() => own.database.many(sql`SELECT pg_sleep(0.01)`)));
    await cutConnections();
    // A connection whose end is not heard of yet may be tried first; each is tried once at most.
    let failures = 0;
    const answer = async (): Promise<unknown> => {
      try {
        return await own.database.one(sql`SELECT 1 AS x`);
      } catch (error) {
        expect(error).toMatchObject(unavailable);
        failures += 1;
        return answer();
      }
    };
    expect(await answer()).toEqual({ x: 1 });
    expect(failures).toBeLessThanOrEqual(10);
  });

  test('no server is `database_unavailable`', async () => {
    const nowhere = { connection: { ...own.connection, host: '/nowhere' }, crashPoints, log };
    await expect(openDatabase(nowhere)).rejects.toMatchObject(unavailable);
    const closedPort = 'postgresql://a:b@127.0.0.1:1/c';
    await expect(openDatabase({ connection: closedPort, crashPoints, log })).rejects.toBeInstanceOf(AppError);
    const wrong = { ...own.connection, password: 'wrong' };
    await expect(openDatabase({ connection: wrong, crashPoints, log })).rejects.toMatchObject(unavailable);
  });

  test('waits have a limit: a statement, and a free connection', async () => {
    const database = await openDatabase({
      connection: own.connection,
      crashPoints,
      log,
      poolSize: 1,
      timeoutMs: 200,
    });
    const slow = database.many(sql`SELECT pg_sleep(10)`);
    await expect(slow).rejects.toMatchObject(unavailable);
    const release = Promise.withResolvers<void>();
    const holding = database.transaction('hold', () => release.promise);
    await expect(database.many(sql`SELECT 1`)).rejects.toMatchObject(unavailable);
    release.resolve();
    // The server may have ended a transaction that idled as long as this one.
    await holding.catch((error: unknown) => expect(error).toMatchObject(unavailable));
    await database.close();
    await database.close();
    await expect(database.many(sql`SELECT 1`)).rejects.toMatchObject(unavailable);
  });

  test('a schema change under a prepared statement costs one failure at most', async () => {
    const database = await openDatabase({ connection: own.connection, crashPoints, log, poolSize: 1 });
    await database.many(sql`CREATE TABLE changing (a integer)`);
    await database.many(sql`SELECT * FROM changing`);
    await database.many(sql`ALTER TABLE changing ADD b integer`);
    await expect(database.many(sql`SELECT * FROM changing`)).rejects.toMatchObject({ code: '0A000' });
    expect(await database.many(sql`SELECT * FROM changing`)).toEqual([]);
    await database.close();
  });
});

describe('sessions', () => {
  test('hold an advisory lock until they end', async () => {
    const tryLock = sql`SELECT pg_try_advisory_lock(7) AS held`;
    await using second = await own.database.session();
    {
      await using first = await own.database.session();
      expect(await first.one(tryLock)).toEqual({ held: true });
      expect(await second.one(tryLock)).toEqual({ held: false });
      expect(await first.transaction('inside', (transaction) => transaction.one(sql`SELECT 1 AS x`))).toEqual(
        { x: 1 },
      );
    }
    await expect.poll(() => second.one(tryLock)).toEqual({ held: true });
  });

  test('tell when they are lost', async () => {
    await using session = await own.database.session();
    const lost = new Promise((resolve) => session.lost.addEventListener('abort', resolve));
    await cutConnections();
    await lost;
    expect(session.lost.reason).toMatchObject(unavailable);
    await expect(session.many(sql`SELECT 1`)).rejects.toMatchObject(unavailable);
  });
});

describe('notifications', () => {
  test('reach every listener of a channel, over one connection, until disposed', async () => {
    const heard: string[] = [];
    const a = await own.database.listen('one', (payload) => heard.push(`a:${payload}`));
    await using _b = await own.database.listen('one', (payload) => heard.push(`b:${payload}`));
    await using _c = await own.database.listen('Two "quoted"', (payload) => heard.push(`c:${payload}`));
    await own.database.many(sql`SELECT pg_notify('one', '1'), pg_notify('Two "quoted"', '2')`);
    await expect.poll(() => [...heard].sort()).toEqual(['a:1', 'b:1', 'c:2']);
    await a[Symbol.asyncDispose]();
    await own.database.many(sql`SELECT pg_notify('one', '3')`);
    await expect.poll(() => heard.slice(3)).toEqual(['b:3']);
  });

  test('come back by themselves after the connection was cut, and say so', async () => {
    const heard: string[] = [];
    const again = Promise.withResolvers<void>();
    await using _listening = await own.database.listen('cut', (payload) => {
      heard.push(payload);
      if (payload === '') again.resolve();
    });
    await cutConnections();
    await again.promise;
    const notify = () => own.database.many(sql`SELECT pg_notify('cut', 'after')`);
    await notify().catch(notify);
    await expect.poll(() => heard).toContain('after');
    expect(heard[0]).toBe('');
  });
});
