import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { mission } from '../mission.ts';
import { startReceiver } from '../receiver.ts';
import { makeHome, type TestHome, until } from '../start-app.ts';

const task = (home: TestHome) => ({
  instructions: 'Ask what to do.',
  title: 'A <b>question</b> *here*',
  repository: home.repository,
  checks: ['true'],
  model: 'recorded/questions',
});

async function call(home: TestHome, method: string, path: string, body?: unknown) {
  const { url, key } = JSON.parse(await readFile(join(home.path, 'cli.json'), 'utf8'));
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: JSON.parse((await response.text()) || 'null') };
}

test('an ask is told once to each kind of receiver, signed, with a link that opens it', async () => {
  await using database = await createTestDatabase();
  await using receiver = await startReceiver();
  const secret = `whsec_${Buffer.from('a secret of ours').toString('base64')}`;
  await using home = await makeHome({
    publicUrl: 'https://mission.example/',
    notifications: {
      phone: { kind: 'ntfy', url: `${receiver.url}/topic-with-token`, topics: ['needed'], token: 'env:NTFY' },
    },
  });
  const env = { DATABASE_URL: database.connectionString, NTFY: 'tk_very_secret' };
  await using server = await home.start({ env });
  for (const [name, body] of Object.entries({
    hook: { kind: 'webhook', url: `${receiver.url}/hook?token=in-the-address`, secret },
    chat: { kind: 'slack', url: `${receiver.url}/slack`, topics: ['needed'] },
    room: { kind: 'discord', url: `${receiver.url}/discord`, topics: ['needed'] },
  })) {
    const put = await call(home, 'PUT', `/notifications/${name}`, body);
    expect(put).toMatchObject({ status: 200, body: { name, source: 'api' } });
    expect(JSON.stringify(put.body)).not.toContain('token');
  }
  const { task: created } = await home.api.createTask(task(home));
  const { subject } = await home.api.awaitEvent(({ type }) => type === 'ask.opened');
  const link = `https://mission.example/${subject.replace('ask/', 'asks/')}`;

  const hook = await receiver.await(
    ({ path, body }) => path.startsWith('/hook') && body.includes('ask.opened'),
  );
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = hook.headers;
  const wanted = createHmac('sha256', 'a secret of ours').update(`${id}.${at}.${hook.body}`).digest('base64');
  expect(signature).toBe(`v1,${wanted}`);
  expect(JSON.parse(hook.body)).toMatchObject({
    specversion: '1.0',
    type: 'ask.opened',
    taskid: created.id,
    data: { notification: { topic: 'needed', link } },
  });
  const phone = await receiver.await(({ path }) => path === '/');
  expect(phone.headers.authorization).toBe('Bearer tk_very_secret');
  expect(JSON.parse(phone.body)).toMatchObject({ topic: 'topic-with-token', click: link, priority: 4 });
  const chat = await receiver.await(({ path }) => path === '/slack');
  expect(JSON.parse(chat.body).text).toContain('&lt;b&gt;question');
  const room = await receiver.await(({ path }) => path === '/discord');
  expect(JSON.parse(room.body)).toMatchObject({ allowed_mentions: { parse: [] } });

  expect((await call(home, 'DELETE', '/notifications/phone')).status).toBe(409);
  expect((await call(home, 'DELETE', '/notifications/chat')).status).toBe(204);
  expect((await call(home, 'GET', '/notifications/chat')).status).toBe(404);
  expect((await call(home, 'PUT', '/notifications/x', { kind: 'ntfy', url: 'file:///etc' })).status).toBe(
    400,
  );

  const kept = JSON.stringify([
    await database.database.many(sql`SELECT * FROM events`),
    await database.database.many(sql`SELECT * FROM notification_deliveries`),
    await database.database.many(sql`SELECT name, host, topics FROM notifications`),
    server.log(),
  ]);
  for (const word of ['tk_very_secret', 'in-the-address', 'topic-with-token', secret])
    expect(kept).not.toContain(word);
});

test('what could not be delivered is tried again over a restart, and sent once', async () => {
  await using database = await createTestDatabase();
  await using receiver = await startReceiver();
  await using home = await makeHome({
    notifications: { hook: { kind: 'webhook', url: `${receiver.url}/hook`, topics: ['needed'] } },
  });
  const env = { DATABASE_URL: database.connectionString };
  receiver.answer(503);
  {
    await using server = await home.start({ env });
    await home.api.createTask(task(home));
    await receiver.await(({ body }) => body.includes('ask.opened'));
    await server.awaitLog('a notification is tried again later');
    server.kill('SIGKILL');
    await server.exit;
  }
  const tries = receiver.received.length;
  receiver.answer(204);
  await using _again = await home.start({ env });
  const delivered = await until(async () => {
    const { body } = await call(home, 'GET', '/notifications/deliveries?status=delivered');
    return body.items.length > 0 ? body.items : undefined;
  }, 'it is delivered');
  expect(delivered).toHaveLength(1);
  expect(receiver.received).toHaveLength(tries + 1);
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
});

test('a redirect is not followed: the letter is dead, and doctor tells', async () => {
  await using database = await createTestDatabase();
  await using receiver = await startReceiver();
  await using elsewhere = await startReceiver();
  receiver.answer(307, { location: `${elsewhere.url}/stolen` });
  await using home = await makeHome({
    notifications: { hook: { kind: 'webhook', url: `${receiver.url}/hook` } },
  });
  await using _server = await home.start({ env: { DATABASE_URL: database.connectionString } });
  const refused = await mission(home.path, ['notify', 'test', 'hook']);
  expect(refused.status).toBe(4);
  expect(refused.stderr).toContain('redirects are not followed; give the final address');

  await home.api.createTask(task(home));
  await home.api.awaitEvent(({ type }) => type === 'notification.undelivered');
  const { body } = await call(home, 'GET', '/notifications/deliveries?status=dead');
  expect(body.items[0]).toMatchObject({ notification: 'hook', topic: 'needed', attempts: 1 });
  expect((await mission(home.path, ['doctor'])).stdout).toContain('could not be delivered (hook)');
  expect((await mission(home.path, ['notify', 'list'])).stdout).toContain('not delivered');
  expect(elsewhere.received).toHaveLength(0);

  receiver.answer(200);
  expect((await mission(home.path, ['notify', 'test', 'hook'])).stdout).toContain('took the test');
  expect((await mission(home.path, ['notify', 'test', 'nobody'])).stderr).toContain('mission notify list');
});
