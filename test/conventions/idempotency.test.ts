import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem } from '../../contract/system.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import { sql } from '../../server/database/sql.ts';
import { House, honest } from '../e2e/house.ts';
import { makeHome, type ServerProcess, type TestHome } from '../start-app.ts';

type Answer = { status: number; body: CreatedTask & Problem; replayed: boolean; retryAfter: string | null };

async function sendKeyed(
  house: House,
  key: string,
  body: unknown,
  [method, path]: [string, string] = ['POST', '/tasks'],
  as: string = house.key,
): Promise<Answer> {
  const headers = {
    'content-type': 'application/json',
    'idempotency-key': key,
    authorization: `Bearer ${as}`,
  };
  const response = await house.fetch(path, { method, body: JSON.stringify(body), headers });
  return {
    status: response.status,
    body: JSON.parse(await response.text()),
    replayed: response.headers.get('idempotent-replayed') === 'true',
    retryAfter: response.headers.get('retry-after'),
  };
}

describe('a request under an Idempotency-Key', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open({ roles: ['api'] });
  });
  afterAll(() => house[Symbol.asyncDispose]());

  const send = (key: string, body: unknown, place?: [string, string], as?: string) =>
    sendKeyed(house, key, body, place, as);
  const task = (instructions: string) => ({
    instructions,
    repository: '/srv/shop',
    model: house.record(honest),
  });
  const countTasks = async (instructions: string) =>
    (
      await house.database.one<{ count: number }>(
        sql`SELECT count(*) FROM tasks WHERE instructions = ${instructions}`,
      )
    ).count;

  test('acts once, and is answered alike, also where repeats come at the same time', async () => {
    const body = task('once');
    const first = await send('key-once', body);
    expect(first).toMatchObject({ status: 201, replayed: false });
    const second = await send('key-once', body);
    expect(second).toEqual({ ...first, replayed: true });

    const storm = task('storm');
    const answers = await Promise.all(Array.from({ length: 12 }, () => send('key-storm', storm)));
    const statuses = new Set(answers.map(({ status }) => status));
    expect([...statuses].filter((status) => status !== 201 && status !== 409)).toEqual([]);
    for (const answer of answers.filter(({ status }) => status === 409))
      expect([answer.body.code, answer.retryAfter]).toEqual(['request_in_flight', '1']);
    const done = answers.filter(({ status }) => status === 201);
    expect(new Set(done.map(({ body: { task: made } }) => made.id)).size).toBe(1);
    expect(await countTasks('storm')).toBe(1);
    expect((await send('key-storm', storm)).replayed).toBe(true);
  });

  test('with another body is refused, and acts not', async () => {
    await send('key-changed', task('first'));
    const changed = await send('key-changed', task('second'));
    expect(changed).toMatchObject({ status: 422, body: { code: 'unprocessable' } });
    expect(await countTasks('second')).toBe(0);
  });

  test('is another one at another address, and by another principal', async () => {
    const { run, task: made } = (await send('key-shared', task('shared'))).body;
    const paused = await send('key-shared', {}, ['POST', `/runs/${run.id}/pause`]);
    expect([paused.status, paused.replayed]).toEqual([200, false]);
    const { key } = await house.ask<{ key: string }>('POST', '/keys', { role: 'operator', name: 'other' });
    const other = await send('key-shared', task('shared'), undefined, key);
    expect([other.status, other.replayed]).toEqual([201, false]);
    expect(other.body.task.id).not.toBe(made.id);
  });

  test('answers a refusal alike, and may be tried again after a failure of the request itself', async () => {
    const { run } = (await send('key-refused', task('refused'))).body;
    await house.database.many(
      sql`UPDATE runs SET status = 'succeeded', waiting = NULL, wake_at = NULL, ended_at = now() WHERE id = ${run.id}`,
    );
    const refused = await send('key-pause', {}, ['POST', `/runs/${run.id}/pause`]);
    expect(refused).toMatchObject({ status: 409, body: { code: 'wrong_state' } });
    expect(await send('key-pause', {}, ['POST', `/runs/${run.id}/pause`])).toEqual({
      ...refused,
      replayed: true,
    });
    // What does not fit the schema never gets as far as the key.
    expect((await send('key-malformed', { instructions: '' })).status).toBe(400);
    expect((await send('key-malformed', task('mended'))).status).toBe(201);
    expect((await send('no spaces', task('x'))).status).toBe(400);
  });

  test('whose answer held a secret keeps no copy of it', async () => {
    const body = { role: 'viewer', name: 'guest' };
    const made = await send('key-secret', body, ['POST', '/keys']);
    expect(made.status).toBe(201);
    const again = await send('key-secret', body, ['POST', '/keys']);
    expect(again).toMatchObject({ status: 409, body: { code: 'answer_lost' } });
    const rows = await house.database.many<{ row: string }>(
      sql`SELECT idempotency_keys::text AS row FROM idempotency_keys WHERE key = 'key-secret'`,
    );
    const { key }: { key: string } = Object(made.body);
    expect(key.length).toBeGreaterThan(20);
    expect(JSON.stringify(rows)).not.toContain(key);
  });
});

describe('a server that dies in the middle of such a request', () => {
  let home: TestHome;
  beforeAll(async () => {
    home = await makeHome();
  });
  afterAll(() => home[Symbol.asyncDispose]());

  /** @returns the status, and the body, or null where no answer came */
  const send = async (key: string) => {
    const { url, key: secret } = await home.api.connection();
    const body = { instructions: key, repository: home.repository, model: 'recorded/tiny' };
    try {
      const response = await fetch(`${url}/api/v1/tasks`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: {
          authorization: `Bearer ${secret}`,
          'content-type': 'application/json',
          'idempotency-key': key,
        },
      });
      const answer: CreatedTask & Problem = JSON.parse(await response.text());
      return { status: response.status, answer };
    } catch (error) {
      if (error instanceof TypeError) return null;
      throw error;
    }
  };
  const dieAt = async (point: string, key: string): Promise<ServerProcess> => {
    const doomed = await home.start({ roles: 'api', env: { MISSION_CRASH_AT: `${point}#1` } });
    expect(await send(key)).toBeNull();
    expect(await doomed.exit).toMatchObject({ signal: 'SIGKILL' });
    return home.start({ roles: 'api' });
  };
  const made = async (key: string) =>
    (await home.api.tasks()).filter(({ instructions }) => instructions === key).length;

  test('before anything was committed lets the repeat act', async () => {
    const next = await dieAt('commit:tasks.create:before', 'died-before');
    expect(await send('died-before')).toMatchObject({ status: 201 });
    expect(await made('died-before')).toBe(1);
    await next.stop();
  });

  test('after the commit and before the answer never doubles it, and says so', async () => {
    const next = await dieAt('commit:tasks.create:after', 'died-after');
    for (let repeat = 0; repeat < 2; repeat++)
      expect(await send('died-after')).toMatchObject({ status: 409, answer: { code: 'answer_lost' } });
    expect(await made('died-after')).toBe(1);
    await next.stop();
  });

  test('after the answer was kept gives that answer', async () => {
    const next = await dieAt('commit:idempotency.finish:after', 'died-answered');
    expect(await send('died-answered')).toMatchObject({ status: 201 });
    expect(await made('died-answered')).toBe(1);
    await next.stop();
  });
});
