import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginLink, SessionView } from '../../contract/sessions.ts';
import { readConfig } from '../../server/config.ts';
import { sql } from '../../server/database/sql.ts';
import { fetchAs, keyOf } from '../access/people.ts';
import { upgrade } from '../access/sockets.ts';
import { House, honest } from '../e2e/house.ts';
import { within } from '../start-app.ts';

const streamPath = '/api/v1/events/stream';
const json = { 'content-type': 'application/json' };
const task = JSON.stringify({ instructions: 'rm -rf /', repository: '/srv/a' });

let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
});
afterAll(() => house[Symbol.asyncDispose]());

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** With headers that fetch does not let one choose: Host, Origin, Cookie. */
function send(method: string, path: string, headers: Record<string, string>, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(`${house.url}${path}`, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

async function makeToken(key = house.key): Promise<string> {
  const response = await fetchAs(house, key, '/api/v1/login-links', {
    method: 'POST',
    body: '{}',
    headers: json,
  });
  const { url } = (await response.json()) as LoginLink;
  return new URLSearchParams(new URL(url).hash.slice(1)).get('token') ?? '';
}

/** A page's session. */
async function logIn(key = house.key): Promise<{ cookie: string; csrf: string }> {
  const body = JSON.stringify({ token: await makeToken(key) });
  const answer = await send('POST', '/api/v1/session', json, body);
  const session: SessionView = JSON.parse(answer.text);
  const [cookie = ''] = [answer.headers['set-cookie'] ?? ''].flat();
  return { cookie: cookie.split(';')[0] ?? '', csrf: session.csrf };
}

describe('a page of any other origin', () => {
  test.each(['https://evil.example', 'http://127.0.0.1:1', 'null'])(
    'begins no session and gives no task from %s, though the browser sends the cookie along',
    async (origin) => {
      const { cookie, csrf } = await logIn();
      const token = await makeToken();
      const attempts = [
        send('POST', '/api/v1/session', { ...json, origin }, JSON.stringify({ token })),
        send('POST', '/api/v1/tasks', { ...json, origin, cookie, 'x-mission-csrf': csrf }, task),
        send('POST', '/api/v1/tasks', { 'content-type': 'text/plain', origin, cookie }, task),
        send('GET', '/api/v1/status', { origin, cookie }),
        send('OPTIONS', '/api/v1/tasks', { origin, 'access-control-request-method': 'POST' }),
      ];
      for (const { status, headers } of await Promise.all(attempts)) {
        expect(status).toBe(403);
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
      // The one-time link was not spent by them.
      const own = await send(
        'POST',
        '/api/v1/session',
        { ...json, origin: house.url },
        JSON.stringify({ token }),
      );
      expect(own.status).toBe(200);
    },
  );

  test('is not helped by a form, which can send a cookie but no header', async () => {
    const { cookie, csrf } = await logIn();
    const form = { cookie, 'content-type': 'application/x-www-form-urlencoded' };
    for (const headers of [
      { ...json, cookie },
      form,
      { ...json, cookie, 'x-mission-csrf': 'x'.repeat(43) },
    ]) {
      const { status } = await send('POST', '/api/v1/halt', headers, '{}');
      expect(status).toBe(403);
    }
    const own = { cookie, 'x-mission-csrf': csrf, origin: house.url };
    expect((await send('DELETE', '/api/v1/halt', own)).status).toBe(200);
  });

  test('finds a cookie that is kept from scripts and other sites, and that nobody else can sign', async () => {
    const answer = await send('POST', '/api/v1/session', json, JSON.stringify({ token: await makeToken() }));
    const [cookie = ''] = [answer.headers['set-cookie'] ?? ''].flat();
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict/);
    const [value = ''] = cookie.split(';');
    expect((await send('GET', '/api/v1/session', { cookie: value })).status).toBe(200);
    const changed = (at: number) =>
      value.slice(0, at) + (value.at(at) === 'a' ? 'b' : 'a') + value.slice(at + 1);
    for (const forged of [
      value.split('.')[0] ?? '',
      changed(value.length - 9),
      changed(value.indexOf('=') + 1),
    ])
      expect((await send('GET', '/api/v1/session', { cookie: forged })).status).toBe(401);
  });
});

describe('a name that was made to point here', () => {
  test.each(['evil.example', '127.0.0.1.evil.example:4700', 'localhost.evil.example', '0.0.0.0:4700'])(
    'such as "%s" reaches neither HTTP nor WebSocket',
    async (host) => {
      expect((await send('GET', '/api/v1/status', { ...bearer(house.key), host })).status).toBe(403);

      expect(await upgrade(`${house.url}${streamPath}`, { ...bearer(house.key), host })).toMatchObject({
        status: 403,
      });
    },
  );

  test('while our own names do, on both', async () => {
    const { host: own } = new URL(house.url);
    for (const host of [own, own.replace('127.0.0.1', 'localhost'), own.replace('127.0.0.1', '[::1]')]) {
      expect((await send('GET', '/api/v1/status', { ...bearer(house.key), host })).status).toBe(200);
      const opened = await upgrade(`${house.url}${streamPath}`, {
        ...bearer(house.key),
        host,
        origin: `http://${host}`,
      });
      expect(opened.status).toBe(101);
      opened.socket?.[Symbol.dispose]();
    }
    const foreign = { ...bearer(house.key), origin: 'https://evil.example' };
    expect(await upgrade(`${house.url}${streamPath}`, foreign)).toMatchObject({ status: 403 });
  });
});

describe('behind a proxy', () => {
  const claims = { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' };

  test('nobody is let in for the address that they, or a proxy, come from', async () => {
    for (const headers of [
      {},
      claims,
      { ...claims, 'x-forwarded-host': 'localhost', 'x-forwarded-user': 'owner' },
    ])
      expect((await send('GET', '/api/v1/status', headers)).status).toBe(401);
    expect((await send('GET', '/api/v1/status', { ...claims, ...bearer(house.key) })).status).toBe(200);
  });

  test('what it says of the client is believed only where it is named', async () => {
    const attempt = (place: House, address: string) =>
      fetchAs(place, null, '/api/v1/session', {
        method: 'POST',
        headers: {
          ...json,
          'x-forwarded-for': address,
          'x-forwarded-host': 'mission.example',
          'x-forwarded-proto': 'https',
        },
        body: JSON.stringify({ token: 'x'.repeat(43) }),
      });
    const tries = async (place: House) => {
      const statuses: number[] = [];
      for (let index = 0; index < 30; index++)
        statuses.push((await attempt(place, `203.0.113.${index}`)).status);
      return new Set(statuses);
    };
    await using stranger = await House.open({ roles: ['api'] });
    // One address, whatever it says: the limit on attempts is met.
    expect(await tries(stranger)).toEqual(new Set([401, 429]));
    await using named = await House.open({
      roles: ['api'],
      trustedProxies: ['127.0.0.1'],
      publicUrl: 'https://mission.example',
    });
    expect(await tries(named)).toEqual(new Set([401]));
    const link = await fetchAs(named, named.key, '/api/v1/login-links', {
      method: 'POST',
      body: '{}',
      headers: { ...json, 'x-forwarded-host': 'mission.example', 'x-forwarded-proto': 'https' },
    });
    expect(((await link.json()) as LoginLink).url).toMatch(/^https:\/\/mission\.example\/login#token=/);
  });
});

describe('without a setting', () => {
  test('there is still a key to have: no environment opens the door', async () => {
    for (const variable of ['MISSION_AUTH', 'MISSION_NO_AUTH', 'MISSION_PASSWORD'])
      expect(readConfig({ MISSION_HOME: '/nowhere', [variable]: 'none' }, [])).toEqual(
        readConfig({ MISSION_HOME: '/nowhere' }, []),
      );
    expect((await send('GET', '/api/v1/status', {})).status).toBe(401);
    const guess = JSON.stringify({ name: 'owner', password: 'password' });
    expect((await send('POST', '/api/v1/session', json, guess)).status).toBe(401);
    const { count } = await house.database.one<{ count: number }>(
      sql`SELECT count(*)::integer AS count FROM principals WHERE password IS NOT NULL`,
    );
    expect(count).toBe(0);
  });

  test.each(['0.0.0.0', '::', '192.0.2.7'])(
    'a server on %s does not start: keys would travel in the clear',
    async (host) => {
      await expect(House.open({ roles: ['api'], host })).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/MISSION_TLS_CERT.*MISSION_TRUSTED_PROXIES/),
      });
    },
  );

  test('one with a named proxy does, and takes from the network only what comes through it', async () => {
    await using open = await House.open({ roles: ['api'], host: '0.0.0.0', trustedProxies: ['192.0.2.1'] });
    expect((await fetch(`http://127.0.0.1:${new URL(open.url).port}/api/v1/health`)).status).toBe(200);
  });
});

describe('a WebSocket', () => {
  test('whose client says that it is an admin stays what its key is', async () => {
    const viewer = await keyOf(house, 'viewer', { scopes: ['events:read'] });
    const claims = { 'x-role': 'admin', 'x-scopes': '*', 'sec-websocket-protocol': 'admin, operator.admin' };
    const opened = await upgrade(`${house.url}${streamPath}`, { ...bearer(viewer.key), ...claims });
    if (opened.socket === null) throw new Error(`refused with ${opened.status}`);
    using socket = opened.socket;
    await socket.awaitText('hello');
    socket.send(JSON.stringify({ type: 'connect', role: 'admin', scopes: ['*'] }));
    socket.send(JSON.stringify({ type: 'auth', key: house.key }));
    for (const [method, path] of [
      ['GET', '/api/v1/principals'],
      ['GET', '/api/v1/tasks'],
      ['POST', '/api/v1/halt'],
    ] as const)
      expect((await fetchAs(house, viewer.key, path, { method, headers: claims })).status).toBe(403);
    const asked = await upgrade(`${house.url}${streamPath}?role=admin&scopes=*`, bearer(viewer.key));
    asked.socket?.[Symbol.dispose]();
    expect((await fetchAs(house, viewer.key, '/api/v1/events')).status).toBe(200);
  });

  test.each([
    ['a wrong key', (key: string) => bearer(`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`)],
    ['half a key', (key: string) => bearer(key.slice(0, 24))],
    ['another scheme', (key: string) => ({ authorization: `Basic ${btoa(`owner:${key}`)}` })],
    ['an empty key', () => ({ authorization: 'Bearer ' })],
    ['a key in the address', () => ({})],
  ])('with %s is refused, and so is HTTP', async (_what, headersOf) => {
    const headers = headersOf(house.key);
    const query = `?key=${house.key}&token=${house.key}&access_token=${house.key}`;
    expect(await upgrade(`${house.url}${streamPath}${query}`, headers)).toMatchObject({ status: 401 });
    expect((await send('GET', `/api/v1/status${query}`, headers)).status).toBe(401);
  });

  test('a wrong key does not fall back on a good cookie', async () => {
    const { cookie } = await logIn();
    expect((await send('GET', '/api/v1/status', { cookie })).status).toBe(200);
    expect((await send('GET', '/api/v1/status', { cookie, ...bearer('x'.repeat(46)) })).status).toBe(401);
  });

  test('sets no executable path: not without a key, and not by a message with one', async () => {
    expect(await upgrade(`${house.url}${streamPath}`)).toMatchObject({ status: 401 });
    const before = JSON.stringify(await house.ask('GET', '/models'));
    const opened = await upgrade(`${house.url}${streamPath}`, bearer(house.key));
    using socket = opened.socket ?? raise(`refused with ${opened.status}`);
    await socket.awaitText('hello');
    socket.send(JSON.stringify({ type: 'config.apply', config: { shell: '/tmp/evil' } }));
    socket.send(
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'config.apply', params: { shell: '/tmp/evil' } }),
    );
    expect(JSON.stringify(await house.ask('GET', '/models'))).toBe(before);
    const settings = '/events?types=provider.*,model.*,policy.*,credential.*,agent.*&after=0';
    const changed = await house.ask<{ items: { data: unknown }[] }>('GET', settings);
    expect(JSON.stringify(changed.items)).not.toContain('evil');
  });

  test('five thousand upgrades without a key open nothing, and whoever has one does not notice', async () => {
    const { port } = new URL(house.url);
    const opened = await upgrade(`${house.url}${streamPath}`, bearer(house.key));
    using kept = opened.socket ?? raise(`refused with ${opened.status}`);
    await kept.awaitText('hello');
    const statuses = new Map<number, number>();
    let slowest = 0;
    for (let done = 0; done < 5_000; done += 100) {
      const flood = Array.from({ length: 100 }, () => knock(Number(port)));
      const began = performance.now();
      const own = await fetchAs(house, house.key, '/api/v1/keys');
      slowest = Math.max(slowest, performance.now() - began);
      expect(own.status).toBe(200);
      for (const status of await Promise.all(flood)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses.keys()].sort()).toEqual([401, 429]);
    expect(statuses.get(401)).toBeLessThan(3_000);
    expect(slowest).toBeLessThan(5_000);
    const { task: made } = await house.start(honest);
    await within(10_000, kept.awaitText(made.id), () => 'the open stream is dead');
    const fresh = await keyOf(house, 'viewer');
    expect((await fetchAs(house, fresh.key, '/api/v1/status')).status).toBe(200);
  });
});

/** An upgrade without a key, as cheaply as one can ask for it. @returns the status, once the server has closed */
function knock(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        `GET ${streamPath} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      );
    });
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(Number(text.split(' ')[1])));
  });
}

function raise(message: string): never {
  throw new Error(message);
}
