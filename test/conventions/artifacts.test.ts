import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ArtifactView } from '../../contract/artifacts.ts';
import type { CloudEvent } from '../../contract/events.ts';
import { type Problem, problem } from '../../contract/system.ts';
import { House, honest } from '../e2e/house.ts';

const mostBytes = 8 * 1024 ** 2;
let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'], artifactBytes: mostBytes });
});
afterAll(() => house[Symbol.asyncDispose]());

const send = async (query: string, body: NonNullable<RequestInit['body']>, as = house.key) => {
  const response = await house.fetch(`/artifacts?${query}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/octet-stream', authorization: `Bearer ${as}` },
  });
  const answer: ArtifactView & Problem = JSON.parse(await response.text());
  return { status: response.status, answer };
};
const read = (id: string, headers: Record<string, string> = {}, method = 'GET') =>
  house.fetch(`/artifacts/${id}/content`, { headers, method });
const incoming = () => readdirSync(join(house.folder, 'home', 'artifacts', 'incoming'));

test('what is sent is kept by its hash, told of in the log, and read again as it was', async () => {
  const { task, run } = await house.start(honest);
  const bytes = randomBytes(3_000_001);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const { status, answer } = await send(`name=report.bin&mediaType=text/html&run=${run.id}`, bytes);
  expect(status).toBe(201);
  expect(answer).toMatchObject({
    name: 'report.bin',
    mediaType: 'text/html',
    size: bytes.length,
    hash,
    runId: run.id,
    taskId: task.id,
  });
  expect(await house.ask('GET', `/artifacts/${answer.id}`)).toEqual(answer);
  const content = await read(answer.id);
  expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
  // What agents wrote is never shown as a page.
  expect(content.headers.get('content-type')).toBe('application/octet-stream');
  expect(content.headers.get('content-disposition')).toMatch(/^attachment/);
  const { items } = await house.ask<{ items: CloudEvent[] }>('GET', '/events?types=artifact.created');
  expect(items.at(-1)).toMatchObject({ subject: `artifact/${answer.id}`, runid: run.id, taskid: task.id });

  const forTask = await send(`name=notes.txt&task=${task.id}`, 'JSON is content too');
  const again = await send(`name=copy.bin&task=${task.id}`, bytes);
  expect(again.answer.hash).toBe(hash);
  const list = (filter: string) => house.ask<{ items: ArtifactView[] }>('GET', `/artifacts?${filter}`);
  const names = async (filter: string) => (await list(filter)).items.map(({ name }) => name);
  expect(await names(`task=${task.id}`)).toEqual(['copy.bin', 'notes.txt', 'report.bin']);
  expect(await names(`run=${run.id}`)).toEqual(['report.bin']);
  expect(forTask.answer.taskId).toBe(task.id);
  expect(incoming()).toEqual([]);
});

test('parts of it can be read', async () => {
  const { answer } = await send('name=digits.txt', '0123456789');
  const part = async (range: string, more: Record<string, string> = {}) => {
    const response = await read(answer.id, { range, ...more });
    const text = response.status === 416 ? '' : await response.text();
    return [response.status, text, response.headers.get('content-range')];
  };
  const tag = `"${answer.hash}"`;
  expect(await part('bytes=2-4')).toEqual([206, '234', 'bytes 2-4/10']);
  expect(await part('bytes=7-')).toEqual([206, '789', 'bytes 7-9/10']);
  expect(await part('bytes=-3')).toEqual([206, '789', 'bytes 7-9/10']);
  expect(await part('bytes=5-999')).toEqual([206, '56789', 'bytes 5-9/10']);
  expect(await part('bytes=10-')).toEqual([416, '', 'bytes */10']);
  expect(await part('bytes=-0')).toEqual([416, '', 'bytes */10']);
  for (const whole of ['bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-', 'bytes=a-b'])
    expect(await part(whole)).toEqual([200, '0123456789', null]);
  expect(await part('bytes=2-4', { 'if-range': tag })).toEqual([206, '234', 'bytes 2-4/10']);
  expect(await part('bytes=2-4', { 'if-range': '"other"' })).toEqual([200, '0123456789', null]);
  const head = await read(answer.id, {}, 'HEAD');
  expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([
    200,
    '10',
    'bytes',
  ]);
  expect((await read(answer.id, { 'if-none-match': tag })).status).toBe(304);
  const { answer: empty } = await send('name=empty', '');
  expect(await (await read(empty.id)).text()).toBe('');
  expect((await read(empty.id, { range: 'bytes=0-' })).status).toBe(416);
});

test('too much, a broken-off sending and what belongs nowhere leave nothing behind', async () => {
  const large = await send('name=large', Buffer.alloc(mostBytes + 1));
  expect(large).toMatchObject({ status: 413, answer: { code: 'too_large' } });
  const streamed = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1024 ** 2)),
  });
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', body: streamed, duplex: 'half' };
  // The server may cut the connection before the answer is read: either way it has stopped taking.
  const endless = await house.fetch('/artifacts?name=endless', init).then(
    ({ status }) => status,
    () => 413,
  );
  expect(endless).toBe(413);
  await new Promise<void>((resolve) => {
    const call = request(`${house.url}/api/v1/artifacts?name=cut`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${house.key}`,
        'content-type': 'text/plain',
        'content-length': 5_000_000,
      },
    });
    call.on('error', () => resolve());
    call.write(Buffer.alloc(100_000), () => call.destroy(new Error('gone')));
  });
  expect(await send('name=x&run=run_none', 'x')).toMatchObject({ status: 422 });
  expect(await send('name=x&task=task_none', 'x')).toMatchObject({ status: 422 });
  expect(await send('name=a%2Fb', 'x')).toMatchObject({ status: 400 });
  expect(await send('name=x&run=r&task=t', 'x')).toMatchObject({ status: 400 });
  await expect.poll(incoming).toEqual([]);
  const { items } = await house.ask<{ items: ArtifactView[] }>('GET', '/artifacts');
  expect(items.filter(({ name }) => ['large', 'endless', 'cut', 'x'].includes(name))).toEqual([]);
});

test('who does not see its project does not see it, and an agent adds only to what it holds', async () => {
  const { run } = await house.start(honest);
  const { answer } = await send(`name=secret&run=${run.id}`, 'secret');
  const other = await house.ask<{ id: string }>('POST', '/projects', { name: 'elsewhere' });
  const keyFor = async (body: Record<string, unknown>) =>
    (await house.ask<{ key: string }>('POST', '/keys', body)).key;
  const stranger = await keyFor({ role: 'operator', name: 'stranger', projects: [other.id] });
  const as = { authorization: `Bearer ${stranger}` };
  for (const path of [`/artifacts/${answer.id}`, `/artifacts/${answer.id}/content`]) {
    const response = await house.fetch(path, { headers: as });
    expect([response.status, problem.parse(await response.json()).code]).toEqual([404, 'not_found']);
  }
  const response = await house.fetch('/artifacts', { headers: as });
  expect(await response.json()).toEqual({ items: [], nextCursor: null });
  expect(await send(`name=x&run=${run.id}`, 'x', stranger)).toMatchObject({ status: 422 });
  const registered = await house.ask<{ key: string }>('POST', '/agents/register', {
    name: 'foreign-1',
    skills: [],
  });
  expect(await send(`name=x&run=${run.id}`, 'x', registered.key)).toMatchObject({ status: 403 });
});
