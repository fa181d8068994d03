import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CloudEvent } from '../../contract/events.ts';
import { type Problem, problem } from '../../contract/system.ts';
import { sql } from '../../server/database/sql.ts';
import { House, honest } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
});
afterAll(() => house[Symbol.asyncDispose]());

/** With a Host header, which fetch does not let one choose. */
function send(path: string, headers: Record<string, string>): Promise<{ status: number; body: Problem }> {
  return new Promise((resolve, reject) => {
    const call = request(`${house.url}/api/v1${path}`, { headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    call.on('error', reject);
    call.end();
  });
}
const withKey = (headers: Record<string, string> = {}) => ({
  authorization: `Bearer ${house.key}`,
  ...headers,
});

describe('who may come in', () => {
  const paths = [
    '/status',
    '/tasks',
    '/runs/run_a',
    '/asks',
    '/changes',
    '/events',
    '/events/stream',
    '/doctor',
    '/artifacts/art_a/content',
  ];
  test.each(paths)('%s wants a key that is good', async (path) => {
    for (const headers of [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: `Bearer ${house.key}x` },
      { authorization: `Basic ${house.key}` },
    ]) {
      const { status, body } = await send(path, headers as Record<string, string>);
      expect([status, body.code]).toEqual([401, 'unauthenticated']);
      expect(problem.safeParse(body).success).toBe(true);
    }
  });

  test('a foreign host or the page of one gets nothing, with a good key as well', async () => {
    for (const headers of [
      { host: 'evil.example' },
      { host: '127.0.0.1.evil.example:4700' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      const { status, body } = await send('/status', withKey(headers));
      expect([status, body.code]).toEqual([403, 'foreign_host']);
    }
    const { host } = new URL(house.url);
    for (const headers of [{}, { origin: house.url }, { host: host.replace('127.0.0.1', 'localhost') }])
      expect((await send('/status', withKey(headers))).status).toBe(200);
  });

  test('health needs no key', async () => {
    expect(await send('/health', {})).toEqual({ status: 200, body: { status: 'ok' } });
  });
});

describe('what is wrong is said', () => {
  const task = { instructions: 'Mend.', repository: '/srv/a' };
  test.each<[string, string, unknown, string[]]>([
    ['nothing', '/tasks', undefined, ['']],
    ['no instructions', '/tasks', { ...task, instructions: ' ' }, ['instructions']],
    ['an unknown field', '/tasks', { ...task, colour: 'blue' }, ['']],
    [
      'several at once',
      '/tasks',
      { ...task, priority: 'P9', budget: { usd: -1 } },
      ['priority', 'budget.usd'],
    ],
    ['a decision there is not', '/asks/ask_a/decide', { decision: 'perhaps' }, ['decision']],
    ['too little to say', '/runs/run_a/say', { text: '' }, ['text']],
  ])('in a body with %s', async (_name, path, body, fields) => {
    const answer = await house.ask<Problem>('POST', path, body);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(answer.issues?.map((issue) => issue.path)).toEqual(fields);
  });

  test('in text that is no JSON, in a body that is too large, in a query', async () => {
    const post = async (body: string) => {
      const response = await house.fetch('/tasks', {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      return (await response.json()) as Problem;
    };
    expect(await post('{"instructions":')).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(await post(JSON.stringify({ ...task, instructions: 'x'.repeat(2_000_000) }))).toMatchObject({
      status: 413,
      code: 'too_large',
    });
    for (const query of [
      '/events?after=-1',
      '/events?after=x',
      '/runs?limit=0',
      '/runs?limit=1001',
      '/tasks?status=odd',
    ])
      expect(await house.ask('GET', query)).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test('of what is not there', async () => {
    const gets = [
      '/tasks/x',
      '/runs/x',
      '/runs/x/steps',
      '/asks/x',
      '/changes/x',
      '/changes/x/diff',
      '/artifacts/x/content',
      '/nothing',
      '/runs/%00',
    ];
    for (const path of gets)
      expect([path, await house.ask('GET', path)]).toEqual([
        path,
        expect.objectContaining({ status: 404, code: 'not_found' }),
      ]);
    for (const path of ['/runs/x/pause', '/runs/x/resume', '/runs/x/stop', '/changes/x/merge'])
      expect([path, await house.ask('POST', path)]).toEqual([
        path,
        expect.objectContaining({ status: 404, code: 'not_found' }),
      ]);
    expect(await house.ask('POST', '/asks/x/decide', { decision: 'deny' })).toMatchObject({ status: 404 });
  });

  test('of a model, an agent or an end that does not fit', async () => {
    const repository = '/srv/a';
    expect(
      await house.ask('POST', '/tasks', { instructions: 'x', repository, model: 'recorded/none' }),
    ).toMatchObject({ status: 422, code: 'unprocessable' });
    expect(
      await house.ask('POST', '/tasks', { instructions: 'x', repository, agent: 'nobody' }),
    ).toMatchObject({ status: 422, code: 'unprocessable' });
  });
});

test('a run that has ended is not paused, resumed, stopped or spoken to', async () => {
  const { run } = await house.start(honest);
  await house.database.many(
    sql`UPDATE runs SET status = 'succeeded', waiting = NULL, wake_at = NULL, ended_at = now() WHERE id = ${run.id}`,
  );
  for (const verb of ['pause', 'resume', 'stop'])
    expect(await house.ask('POST', `/runs/${run.id}/${verb}`)).toMatchObject({
      status: 409,
      code: 'wrong_state',
    });
  expect(await house.ask('POST', `/runs/${run.id}/say`, { text: 'x' })).toMatchObject({ status: 409 });
});

test('text with characters that a database cannot hold is taken in without them', async () => {
  const { task } = await house.start(honest, { instructions: 'Mend\u0000 \ud800it.', checks: ['a\u0000b'] });
  expect(task).toMatchObject({ instructions: 'Mend\ufffd \ufffdit.', checks: ['a\ufffdb'] });
});

async function take(count: number, events: AsyncGenerator<CloudEvent>): Promise<CloudEvent[]> {
  const taken: CloudEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

test('the stream resumes from a cursor, whichever way it is given, without gap or repetition', async () => {
  const created = await Promise.all(Array.from({ length: 6 }, () => house.start(honest)));
  const first = await take(10, house.follow('after=0', 20_000));
  const more = house.start(honest);
  const cursor = first.at(-1)?.sequence ?? 0;
  const second = await take(10, house.follow('', 20_000, { 'last-event-id': String(cursor) }));
  await more;
  const whole = await house.ask<{ items: CloudEvent[]; head: number }>('GET', '/events?after=0&limit=20');
  expect([...first, ...second]).toEqual(whole.items);
  expect(whole.items.map((event) => event.sequence)).toEqual(
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  const runId = created[3]?.run.id ?? '';
  const [queued] = await take(1, house.follow(`run=${runId}&after=0`, 20_000));
  expect(queued).toMatchObject({ type: 'run.queued', runid: runId });
});
