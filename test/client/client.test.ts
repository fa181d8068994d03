import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ApiProblem, createClient, type MissionControl, Unreachable } from '../../client/index.ts';
import { House, honest } from '../e2e/house.ts';
import { CuttingProxy } from './cutting-proxy.ts';

describe('against a server', () => {
  let house: House;
  let client: MissionControl;
  beforeAll(async () => {
    house = await House.open({ roles: ['api'] });
    client = createClient({ url: house.url, key: house.key });
  });
  afterAll(() => house[Symbol.asyncDispose]());

  test('each operation is a method with its types', async () => {
    const body = { instructions: 'Mend.', repository: '/srv/shop', model: house.record(honest) };
    const { task, run } = await client.createTask({ body });
    expect(await client.getTask({ id: task.id })).toEqual(task);
    const { items } = await client.listTasks({ query: { status: task.status, limit: 5 } });
    expect(items.map(({ id }) => id)).toContain(task.id);
    expect((await client.pauseRun({ id: run.id })).id).toBe(run.id);
    const sent = await client.sendArtifact({
      query: { name: 'a.txt', task: task.id },
      body: new Blob(['abc']),
    });
    expect(await (await client.getArtifactContent({ id: sent.id })).text()).toBe('abc');
    const made = await client.createKey({ body: { role: 'viewer', name: 'guest' } });
    expect(await client.revokeKey({ id: made.id })).toBeUndefined();
    expect((await client.getHealth()).status).toBe('ok');
  });

  test('a refusal is a problem that says what to do', async () => {
    const refused: unknown = await client.getTask({ id: 'task_none' }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiProblem);
    expect(refused).toMatchObject({
      status: 404,
      code: 'not_found',
      message: expect.stringContaining('task_none'),
    });
    const wrong: unknown = await client
      .createTask({ body: { instructions: ' ', repository: '/a' } })
      .catch((error: unknown) => error);
    expect(wrong).toMatchObject({ status: 400, issues: [{ path: 'instructions' }] });
  });

  test('a request that acts may name its own key and its condition', async () => {
    const { run } = await house.start(honest);
    const options = { idempotencyKey: 'mine' };
    const first = await client.pauseRun({ id: run.id }, options);
    await client.resumeRun({ id: run.id });
    expect(await client.pauseRun({ id: run.id }, options)).toEqual(first);
    const stale = client.stopRun({ id: run.id }, { ifMatch: '"1-x"' });
    await expect(stale).rejects.toMatchObject({ status: 412 });
  });

  test.each(['websocket', 'sse'] as const)('the stream over %s goes on across every cut', async (over) => {
    await using proxy = await CuttingProxy.open(house.url);
    const through = createClient({ url: proxy.url, key: house.key });
    const head = (await client.listEvents({ query: { limit: 1 } })).head;
    const enough = new AbortController();
    const seen: number[] = [];
    const wanted = 36;
    const writing = (async () => {
      for (let made = 0; seen.length < wanted && made < 200; made++) await house.start(honest);
    })();
    for await (const event of through.events({ after: head, over, signal: enough.signal })) {
      seen.push(event.sequence);
      if (seen.length % 12 === 0) proxy.cut();
      if (seen.length === wanted) enough.abort();
    }
    await writing;
    expect(seen).toEqual(Array.from({ length: wanted }, (_, index) => head + 1 + index));
    expect(proxy.cuts).toBeGreaterThanOrEqual(2);
  });

  test('a stream is filtered, and one with a bad key is refused', async () => {
    const { task } = await house.start(honest);
    for await (const event of client.events({ after: 0, types: ['task.*'], task: task.id })) {
      expect([event.type, event.taskid]).toEqual(['task.created', task.id]);
      break;
    }
    const stranger = createClient({ url: house.url, key: 'x'.repeat(40) });
    await expect(stranger.events().next()).rejects.toMatchObject({ status: 401 });
  });
});

describe('against a server in trouble', () => {
  const open: { close: () => void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  const serve = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
    const server = createServer(answer);
    open.push({
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address: AddressInfo = Object(server.address());
    return `http://127.0.0.1:${address.port}`;
  };

  test('what fails in passing is tried again, under the same key and no sooner than told', async () => {
    const keys: unknown[] = [];
    const times: number[] = [];
    const url = await serve((request, response) => {
      keys.push(request.headers['idempotency-key']);
      times.push(performance.now());
      if (keys.length === 1) return request.socket.destroy();
      if (keys.length === 2) return response.writeHead(503, { 'retry-after': '1' }).end();
      return response.setHeader('content-type', 'application/json').end('{"halted":null}');
    });
    expect(await createClient({ url, key: 'k' }).release()).toEqual({ halted: null });
    expect([keys.length, new Set(keys).size, typeof keys[0]]).toEqual([3, 1, 'string']);
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('what does not answer ends at its limit, and with its signal at once', async () => {
    const url = await serve(() => undefined);
    const slow: unknown = await createClient({ url, timeoutMs: 50, retries: 1 })
      .getHealth()
      .catch((error: unknown) => error);
    expect(slow).toBeInstanceOf(Unreachable);
    expect(slow).toMatchObject({ timedOut: true });
    const stop = new AbortController();
    const asked = createClient({ url }).getHealth({}, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });

  test('what is refused is not tried again, and an answer in another form is said to be one', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      if (asked === 1) return response.writeHead(404).end('gone');
      return response.setHeader('content-type', 'application/json').end('{"status":"odd"}');
    });
    const client = createClient({ url });
    await expect(client.getHealth()).rejects.toMatchObject({ status: 404, code: 'unknown' });
    expect(asked).toBe(1);
    await expect(client.getHealth()).rejects.toThrow('in a form that this version does not know');
  });
});
