import { expect, test } from 'vitest';
import { problem } from '../../contract/system.ts';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { strip } from '../../server/telemetry/fault-reports.ts';
import { startReceiver } from '../receiver.ts';
import { makeHome } from '../start-app.ts';

test('a fault of ours is told to Sentry, by its request and trace, and without what was stored or asked', async () => {
  await using receiver = await startReceiver();
  receiver.answer(200);
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const dsn = receiver.url.replace('http://', 'http://publickey@');
  const env = {
    DATABASE_URL: database.connectionString,
    SENTRY_DSN: `${dsn}/42`,
    SENTRY_ENVIRONMENT: 'proof',
  };
  const server = await home.start({ roles: 'api', env });
  const { url, key } = await home.api.connection();
  await database.database.many(sql`ALTER TABLE asks RENAME TO hidden_asks`);
  const response = await fetch(`${url}/api/v1/asks?status=open`, {
    headers: { authorization: `Bearer ${key}`, traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` },
  });
  const told = problem.parse(await response.json());
  expect(told).toMatchObject({ status: 500, code: 'internal' });
  expect(response.headers.get('x-request-id')).toBe(told.requestId);

  const { path, headers, body } = await receiver.await(({ body: sent }) => sent.includes('exception'));
  expect(path).toMatch(/^\/api\/42\/envelope\/\?/);
  expect(path).toContain('sentry_key=publickey');
  expect(headers['content-type']).toBe('application/x-sentry-envelope');
  const [envelope = '', item = '', payload = ''] = body.split('\n');
  expect(JSON.parse(envelope)).toHaveProperty('event_id');
  expect(JSON.parse(item)).toMatchObject({ type: 'event' });
  const event = JSON.parse(payload);
  expect(event).toMatchObject({
    environment: 'proof',
    platform: 'node',
    tags: { request: told.requestId, trace_id: 'ab'.repeat(16) },
  });
  expect(event.release).toMatch(/^mission-control@/);
  const [exception] = event.exception.values;
  expect(exception.type).not.toBe('');
  expect(exception.value).toBe('relation "…" does not exist');
  expect(exception.stacktrace.frames.length).toBeGreaterThan(0);
  expect(body).not.toContain('SELECT');
  expect(body).not.toContain(key);

  // The log tells of the same request.
  await server.awaitLog(`"requestId":"${told.requestId}"`);
  expect(server.log()).toContain(`"trace_id":"${'ab'.repeat(16)}"`);
});

/** A part of the process that fails on its own, when it is told to. */
const failing = (statement: string) =>
  `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2',()=>{${statement}})`)}`;

test.concurrent.each([
  ['a promise without an owner', 'Promise.reject(new Error("the loop of `plums` is lost"))'],
  ['an exception that nobody caught', 'throw new Error("the loop of `plums` is lost")'],
])(
  '%s is told, and ends the process in order',
  async (_name, statement) => {
    await using receiver = await startReceiver();
    receiver.answer(200);
    await using database = await createTestDatabase();
    await using home = await makeHome();
    const env = {
      DATABASE_URL: database.connectionString,
      SENTRY_DSN: `${receiver.url.replace('http://', 'http://publickey@')}/42`,
      NODE_OPTIONS: failing(statement),
    };
    const server = await home.start({ roles: 'api', env });
    server.kill('SIGUSR2');
    expect(await server.exit).toEqual({ code: 1, signal: null });
    const { body } = await receiver.await(({ body: sent }) => sent.includes('exception'));
    const [exception] = JSON.parse(body.split('\n')[2] ?? '').exception.values;
    expect(exception.value).toBe('the loop of "…" is lost');
    expect(exception.stacktrace.frames.length).toBeGreaterThan(0);
    expect(server.log()).toContain('nobody caught this fault: the process ends');
    // What a stop takes away is gone.
    await expect(home.api.connection()).rejects.toThrow();
  },
  120_000,
);

test('what a message quotes is left out of it', () => {
  const redact = (text: string) => text.replaceAll('hunter2', '[secret]');
  expect(strip('Unexpected token \'a\', "a dear diary" is not valid JSON\nmore', redact)).toBe(
    'Unexpected token "…", "…" is not valid JSON',
  );
  expect(strip('connect to hunter2 failed', redact)).toBe('connect to [secret] failed');
  expect(strip('an open "quote of a secret', redact)).toBe('an open "…"');
});
