import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreatedKey } from '../../contract/principals.ts';
import type { LoginLink, SessionView } from '../../contract/sessions.ts';
import { sql } from '../../server/database/sql.ts';
import { fullActor } from '../../server/domain/actor.ts';
import { revokeKey } from '../../server/domain/principals/keys.ts';
import { House } from '../e2e/house.ts';
import { within } from '../start-app.ts';
import { fetchAs, keyOf } from './people.ts';
import { type OpenSocket, upgrade } from './sockets.ts';

const streamPath = '/api/v1/events/stream';
/** A connection ends within a second; the rest is for a machine that does other things. */
const limitMs = 2_500;

let house: House;
beforeAll(async () => {
  house = await House.open({
    roles: ['api'],
    http: { requestsPerSecond: 1_000, connections: 24, connectionsPerPrincipal: 8 },
  });
});
afterAll(() => house[Symbol.asyncDispose]());

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function openSocket(headers: Record<string, string>, query = ''): Promise<OpenSocket> {
  const { status, socket } = await upgrade(`${house.url}${streamPath}${query}`, headers);
  if (socket === null) throw new Error(`the upgrade was refused with ${status}`);
  await socket.awaitText('hello');
  return socket;
}

/** Ends when the stream does. */
async function openStream(key: string): Promise<{ ended: Promise<number>; close: () => void }> {
  const stop = new AbortController();
  const response = await fetchAs(house, key, streamPath, { signal: stop.signal });
  expect(response.status).toBe(200);
  const drain = async () => {
    try {
      await response.text();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
    return performance.now();
  };
  return { ended: drain(), close: () => stop.abort() };
}

const soon = (ended: Promise<number>, what: string) =>
  within(limitMs, ended, () => `the connection is still open after ${what}`);

async function logIn(): Promise<{ cookie: string; csrf: string }> {
  const link = await house.ask<LoginLink>('POST', '/login-links', {});
  const response = await fetchAs(house, null, '/api/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: new URLSearchParams(new URL(link.url).hash.slice(1)).get('token') }),
  });
  const { csrf } = (await response.json()) as SessionView;
  return { cookie: (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '', csrf };
}

describe('an open connection ends within a second', () => {
  const ways: [string, (key: CreatedKey) => Promise<unknown>][] = [
    ['its key is revoked', ({ id }) => house.fetch(`/keys/${id}`, { method: 'DELETE' })],
    [
      'its key is revoked by another process',
      ({ id }) => revokeKey(house.database, fullActor({ id: 'prn_x', name: 'x', role: 'admin' }), id),
    ],
    [
      'its key expires',
      ({ id }) => house.database.many(sql`UPDATE api_keys SET expires_at = now() WHERE id = ${id}`),
    ],
    [
      'its principal is disabled',
      ({ principal }) => house.ask('PATCH', `/principals/${principal.id}`, { disabled: true }),
    ],
    [
      'its principal is narrowed',
      ({ principal }) => house.ask('PATCH', `/principals/${principal.id}`, { projects: [] }),
    ],
  ];
  test.each(ways)('after %s', async (what, act) => {
    const key = await keyOf(house, 'viewer');
    using socket = await openSocket(bearer(key.key));
    const stream = await openStream(key.key);
    // Somebody else's connection, and that it stays, is the other half of it.
    using other = await openSocket(bearer(house.key));
    let othersEnd: number | null = null;
    void other.ended.then((at) => {
      othersEnd = at;
    });
    await act(key);
    await Promise.all([soon(socket.ended, what), soon(stream.ended, what)]);
    // 1008: a policy was broken.
    expect(socket.received()).toContain('\x03\xf0');
    expect(othersEnd).toBeNull();
  });

  test('after its session logs out, or its other sessions are ended by a new password', async () => {
    const [first, second] = [await logIn(), await logIn()];
    using one = await openSocket({ cookie: first.cookie });
    using two = await openSocket({ cookie: second.cookie });
    const headers = { cookie: first.cookie, 'x-mission-csrf': first.csrf };
    expect((await fetchAs(house, null, '/api/v1/session', { method: 'DELETE', headers })).status).toBe(204);
    await soon(one.ended, 'the session has ended');
    const body = JSON.stringify({ password: 'a long enough password' });
    const json = { 'content-type': 'application/json' };
    await house.fetch('/principals/owner/password', { method: 'PUT', body, headers: json });
    await soon(two.ended, 'the password has changed');
  });
});

test('so many connections and no more, for one principal and in all; those who left make room', async () => {
  const viewer = await keyOf(house, 'viewer');
  const url = `${house.url}${streamPath}`;
  const open: OpenSocket[] = [];
  for (let index = 0; index < 8; index++) open.push(await openSocket(bearer(viewer.key)));
  const ninth = await upgrade(url, bearer(viewer.key));
  expect(ninth).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
  const stream = await fetchAs(house, viewer.key, streamPath);
  expect(stream.status).toBe(429);
  expect(stream.headers.get('content-type')).toContain('application/problem+json');
  for (const other of [await keyOf(house, 'viewer'), await keyOf(house, 'operator')])
    for (let index = 0; index < 8; index++) open.push(await openSocket(bearer(other.key)));
  expect(await upgrade(url, bearer(house.key))).toMatchObject({
    status: 503,
    headers: { 'retry-after': '5' },
  });
  expect((await house.fetch('/status')).status).toBe(200);
  for (const socket of open) socket[Symbol.dispose]();
  await Promise.all(open.map(({ ended }) => ended));
  using again = await retry(() => openSocket(bearer(viewer.key)));
  expect(again.received()).toContain('hello');
});

test('who asks too fast is told how long to wait, and nobody else is', async () => {
  await using strict = await House.open({
    roles: ['api'],
    http: { requestsPerSecond: 1, connections: 10, connectionsPerPrincipal: 10 },
  });
  const other = await keyOf(strict, 'viewer');
  const answers = await Promise.all(Array.from({ length: 30 }, () => strict.fetch('/keys')));
  const refused = answers.find(({ status }) => status === 429);
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(await refused?.json()).toMatchObject({
    code: 'rate_limited',
    detail: expect.stringContaining('Try again in'),
  });
  expect((await fetchAs(strict, other.key, '/api/v1/keys')).status).toBe(200);
});

/** The server hears of a closed socket a moment later than we. */
async function retry<T>(act: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + 5_000; ; ) {
    try {
      return await act();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
