import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CloudEvent } from '../../../contract/events.ts';
import { type Received, type Receiver, startReceiver } from '../../../test/receiver.ts';
import type { Clock } from '../../clock.ts';
import { systemClock } from '../../clock.ts';
import { withCommitHook } from '../../database/commit-hook.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { fullActor } from '../../domain/actor.ts';
import { openVault } from '../../domain/credentials/vault.ts';
import { WebhookHosts } from '../../domain/webhooks/addresses.ts';
import { listWebhookDeliveries, redeliver } from '../../domain/webhooks/deliveries.ts';
import { delayBefore } from '../../domain/webhooks/schedule.ts';
import {
  createWebhook,
  getWebhook,
  removeWebhook,
  rotateSecret,
  updateWebhook,
  type WebhookContext,
} from '../../domain/webhooks/webhooks.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { EventFeed } from '../../events/feed.ts';
import { readEvents } from '../../events/read.ts';
import { Sequencer } from '../../events/sequencer.ts';
import { installJobs } from '../../jobs/job-runner.ts';
import { openLog } from '../../log.ts';
import { readRetryAfter } from '../post.ts';
import { WebhookDispatcher } from './dispatcher.ts';
import { openGuardedFetch } from './guarded-fetch.ts';

const log = openLog('silent');
const admin = fullActor({ id: 'prn_a', name: 'ada', role: 'admin' });
const hour = 3_600_000;
const stack = new AsyncDisposableStack();
let home: TestDatabase;
let database: Database;
let receiver: Receiver;
let context: WebhookContext;
let dispatcher: WebhookDispatcher;
let now = Date.UTC(2030, 0, 1);
const clock: Clock = { ...systemClock, now: () => now };

beforeAll(async () => {
  home = stack.use(await createTestDatabase());
  await installJobs(home.connection, log);
  const sequencer = stack.use(new Sequencer({ database: home.database, log }));
  database = withCommitHook(home.database, () => sequencer.poke());
  const feed = stack.use(new EventFeed({ database, log }));
  await feed.start();
  receiver = stack.use(await startReceiver());
  const folder = await mkdtemp(join(tmpdir(), 'webhooks-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const vault = openVault({ given: null, file: join(folder, 'vault.key') });
  const hosts = new WebhookHosts(['127.0.0.1']);
  context = { database, vault, hosts, now: () => now };
  const fetch = openGuardedFetch(hosts, {});
  dispatcher = stack.use(
    new WebhookDispatcher({ database, feed, clock, log, vault, fetch, random: () => 0.5 }),
  );
  dispatcher.start();
  for (const project of ['one', 'two']) {
    await database.many(
      sql`INSERT INTO projects (id, name, location) VALUES (${`prj_${project}`}, ${project}, ${`/${project}`})`,
    );
  }
});
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  receiver.answer(204);
  receiver.received.length = 0;
});

const event = (type: NewEvent['type'], project: string | null = null): NewEvent => ({
  type,
  entityType: 'task',
  entityId: 'task_1',
  projectId: project,
  actor: 'test',
});

const append = (...events: NewEvent[]) =>
  database.transaction('test.append', (transaction) => appendEvents(transaction, events));

const create = (types: string[], project?: string) =>
  createWebhook(context, admin, {
    url: `${receiver.url}/hook?token=in-the-address`,
    types,
    description: 'a test',
    ...(project === undefined ? {} : { project }),
  });

const deliveriesOf = (webhook: string) => listWebhookDeliveries(database, admin, { webhook, limit: 100 });

/** The deliveries of a webhook, once there are so many. */
async function awaitDeliveries(webhook: string, count: number) {
  for (let round = 0; round < 500; round++) {
    const found = await deliveriesOf(webhook);
    if (found.length >= count) return found.toReversed();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`there were never ${count} deliveries`);
}

const attempt = (delivery: string) =>
  dispatcher.deliver({ delivery }, { signal: new AbortController().signal });

function signatureOf({ headers, body }: Received, secret: string): string {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

async function eventsOf(webhook: string): Promise<CloudEvent[]> {
  for (
    let round = 0;
    (await database.maybe(sql`SELECT 1 AS left FROM event_outbox LIMIT 1`)) && round < 500;
    round++
  )
    await new Promise((resolve) => setTimeout(resolve, 10));
  return readEvents(database, { after: 0, limit: 1_000, subject: `webhook/${webhook}` });
}

test('a webhook is sent what it asked for and nothing else, signed, and its secret stands nowhere in the clear', async () => {
  const hook = await create(['task.*', 'project.created'], 'prj_one');
  await append(
    event('task.created', 'prj_one'),
    event('task.created', 'prj_two'),
    event('task.created'),
    event('run.queued', 'prj_one'),
    event('task.failed', 'prj_one'),
  );
  const [first, second, ...more] = await awaitDeliveries(hook.id, 2);
  expect([first?.type, second?.type, more]).toEqual(['task.created', 'task.failed', []]);
  await attempt(first?.id ?? '');
  const sent = receiver.received[0];
  if (sent === undefined) throw new Error('nothing was sent');
  expect(sent.headers).toMatchObject({
    'webhook-id': first?.id,
    'webhook-timestamp': String(now / 1_000),
    'webhook-signature': signatureOf(sent, hook.secret),
    'content-type': 'application/cloudevents+json; charset=utf-8',
  });
  expect(JSON.parse(sent.body)).toMatchObject({
    specversion: '1.0',
    sequence: first?.sequence,
    projectid: 'prj_one',
  });
  expect((await deliveriesOf(hook.id)).find(({ id }) => id === first?.id)).toMatchObject({
    status: 'delivered',
    attempts: 1,
    httpStatus: 204,
  });
  await attempt(first?.id ?? '');
  expect(receiver.received).toHaveLength(1);
  const rows = await database.many(
    sql`SELECT row_to_json(webhooks)::text AS text FROM webhooks UNION ALL SELECT data::text FROM events`,
  );
  expect(JSON.stringify(rows)).not.toContain(hook.secret.slice(6));
  expect(JSON.stringify(rows)).not.toContain('in-the-address');
  await removeWebhook(database, admin, hook.id);
  expect(await deliveriesOf(hook.id)).toEqual([]);
});

test('two secrets sign while one is rotated out, and one afterwards', async () => {
  const hook = await create(['task.updated']);
  await append(event('task.updated'));
  const rotated = await rotateSecret(context, admin, hook.id);
  const [delivery] = await awaitDeliveries(hook.id, 1);
  const id = delivery?.id ?? '';
  await attempt(id);
  const [both] = receiver.received;
  if (both === undefined) throw new Error('nothing was sent');
  expect(both.headers['webhook-signature']).toBe(
    `${signatureOf(both, rotated.secret)} ${signatureOf(both, hook.secret)}`,
  );
  now += 25 * hour;
  await redeliver(database, admin, hook.id, id);
  await attempt(id);
  const one = receiver.received[1];
  if (one === undefined) throw new Error('nothing was sent again');
  expect(one.headers['webhook-id']).toBe(both.headers['webhook-id']);
  expect(one.headers['webhook-signature']).toBe(signatureOf(one, rotated.secret));
  await removeWebhook(database, admin, hook.id);
});

test('a failing receiver is tried for days, as late as it asks, then given up, told of and disabled', async () => {
  const hook = await create(['task.cancelled', 'webhook.undelivered', 'webhook.disabled']);
  await append(event('task.cancelled'), event('task.cancelled'));
  const [delivery, other] = await awaitDeliveries(hook.id, 2);
  const id = delivery?.id ?? '';
  receiver.answer(503, { 'retry-after': '600' });
  const waits: number[] = [];
  for (;;) {
    await attempt(id);
    const row = (await deliveriesOf(hook.id)).find((one) => one.id === id);
    if (row?.status !== 'waiting') break;
    expect(row).toMatchObject({ httpStatus: 503, error: 'it answered 503', attempts: waits.length + 1 });
    const next = Date.parse(row.nextAt ?? '');
    const job = await database.one<{ runAt: string }>(
      sql`SELECT run_at AS "runAt" FROM graphile_worker.jobs WHERE key = ${id}`,
    );
    expect(Date.parse(job.runAt)).toBe(next);
    waits.push(next - now);
    now = next;
  }
  expect(waits).toHaveLength(10);
  expect(waits.slice(0, 3)).toEqual([600_000, 600_000, 600_000]);
  expect(waits.at(-1)).toBe(24 * hour);
  expect(await listWebhookDeliveries(database, admin, { status: 'dead', limit: 10 })).toMatchObject([
    { id, webhook: hook.id, status: 'dead', attempts: 11 },
  ]);
  expect(await getWebhook(database, admin, hook.id)).toMatchObject({
    status: 'disabled',
    disabledReason: expect.stringContaining('took nothing since'),
  });
  expect((await eventsOf(hook.id)).map(({ type }) => type)).toEqual([
    'webhook.created',
    'webhook.undelivered',
    'webhook.disabled',
  ]);
  await attempt(other?.id ?? '');
  expect((await deliveriesOf(hook.id))[0]).toMatchObject({
    status: 'dead',
    error: 'the webhook is disabled',
  });
  await expect(redeliver(database, admin, hook.id, id)).rejects.toThrow('disabled');
  receiver.answer(200);
  await updateWebhook(context, admin, hook.id, { status: 'active' });
  await redeliver(database, admin, hook.id, id);
  await attempt(id);
  expect((await deliveriesOf(hook.id))[1]).toMatchObject({ id, status: 'delivered', httpStatus: 200 });
  await removeWebhook(database, admin, hook.id);
});

test('a receiver that is gone is disabled at once; a redirect is not followed', async () => {
  const hook = await create(['task.overdue']);
  await append(event('task.overdue'), event('task.overdue'));
  const [first, second] = await awaitDeliveries(hook.id, 2);
  receiver.answer(302, { location: `${receiver.url}/elsewhere` });
  await attempt(first?.id ?? '');
  expect(receiver.received).toHaveLength(1);
  receiver.answer(410);
  await attempt(second?.id ?? '');
  expect((await deliveriesOf(hook.id)).map(({ status }) => status)).toEqual(['dead', 'dead']);
  expect(await getWebhook(database, admin, hook.id)).toMatchObject({ status: 'disabled' });
  await removeWebhook(database, admin, hook.id);
});

test('nothing is sent into private networks, by name, by any spelling, or by what a name resolves to', async () => {
  const post = (url: string) =>
    createWebhook(context, admin, { url, types: ['task.*'], description: '' }).then(({ id }) => id);
  for (const url of [
    'https://10.0.0.1/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://localhost/',
    'https://0x7f000002/',
    'https://2130706434/',
    'https://metadata.google.internal/',
    'https://user:word@example.com/',
    'http://example.com/',
  ]) {
    await expect(post(url), url).rejects.toMatchObject({ code: 'unprocessable' });
  }
  await removeWebhook(database, admin, await post('https://example.com/hook'));
  await removeWebhook(database, admin, await post(`${receiver.url}/named`));
  const hosts = new WebhookHosts([]);
  const named = Object.assign(new WebhookHosts([]), { judge: () => null });
  await expect(openGuardedFetch(hosts, {})('https://127.0.0.1/')).rejects.toThrow('loopback');
  // A name that looks public and resolves to this machine: judged at the connection.
  const { port } = new URL(receiver.url);
  await expect(openGuardedFetch(named, {})(`http://localhost:${port}/`)).rejects.toMatchObject({
    cause: { message: expect.stringContaining('nothing is sent to localhost') },
  });
  const allowed = await openGuardedFetch(new WebhookHosts(['localhost']), {})(`http://localhost:${port}/`);
  expect(allowed.status).toBe(204);
});

test('who sees one project makes webhooks for that alone, and sees no others', async () => {
  const actor = { ...admin, projects: ['prj_one'] };
  const body = { url: receiver.url, types: ['*'], description: '' };
  await expect(createWebhook(context, actor, body)).rejects.toMatchObject({ code: 'unprocessable' });
  await expect(createWebhook(context, actor, { ...body, project: 'prj_two' })).rejects.toMatchObject({
    code: 'unprocessable',
  });
  const mine = await createWebhook(context, actor, { ...body, project: 'prj_one' });
  const other = await createWebhook(context, admin, { ...body, project: 'prj_two' });
  await expect(getWebhook(database, actor, other.id)).rejects.toMatchObject({ code: 'not_found' });
  await expect(updateWebhook(context, actor, mine.id, { project: null })).rejects.toMatchObject({
    code: 'unprocessable',
  });
  await expect(updateWebhook(context, admin, mine.id, { description: 'x' }, 7)).rejects.toMatchObject({
    code: 'precondition_failed',
  });
  for (const { id } of [mine, other]) await removeWebhook(database, admin, id);
});

test('waits grow and are spread; what a receiver asks for is kept, within a day', () => {
  expect(delayBefore(1, null, 0)).toBe(4_000);
  expect(delayBefore(1, null, 1)).toBe(6_000);
  expect(delayBefore(1, 90_000, 1)).toBe(90_000);
  expect(delayBefore(1, 10 * 24 * hour, 1)).toBe(24 * hour);
  expect(delayBefore(11, null, 0.5)).toBeNull();
  expect(readRetryAfter('120', 0)).toBe(120_000);
  expect(readRetryAfter('Thu, 01 Jan 1970 00:02:00 GMT', 60_000)).toBe(60_000);
  expect(readRetryAfter('soon', 0)).toBeNull();
});
