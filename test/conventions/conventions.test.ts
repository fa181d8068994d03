import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AskView } from '../../contract/asks.ts';
import { problem } from '../../contract/system.ts';
import type { TaskView } from '../../contract/tasks.ts';
import { sql } from '../../server/database/sql.ts';
import { House, honest } from '../e2e/house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
});
afterAll(() => house[Symbol.asyncDispose]());

const json = { 'content-type': 'application/json' };

describe('every failure is a problem that says what to do', () => {
  test.each<[string, number, string, string, RequestInit]>([
    ['an unknown address', 404, 'not_found', '/nothing/at/all', {}],
    [
      'an unknown address, posted to',
      404,
      'not_found',
      '/nothing',
      { method: 'POST', body: '{}', headers: json },
    ],
    ['a method that the address lacks', 405, 'method_not_allowed', '/status', { method: 'DELETE' }],
    ['the same with a parameter', 405, 'method_not_allowed', '/tasks/task_x', { method: 'PUT' }],
    ['broken JSON', 400, 'invalid_request', '/tasks', { method: 'POST', body: '{"a":', headers: json }],
    ['an empty body', 400, 'invalid_request', '/tasks', { method: 'POST', body: '', headers: json }],
    [
      'a body that is too large',
      413,
      'too_large',
      '/tasks',
      { method: 'POST', body: `"${'x'.repeat(1_100_000)}"`, headers: json },
    ],
    [
      'another media type',
      415,
      'unsupported_media_type',
      '/tasks',
      { method: 'POST', body: 'a: b', headers: { 'content-type': 'application/yaml' } },
    ],
    ['a bad key', 401, 'unauthenticated', '/tasks', { headers: { authorization: 'Bearer nonsense' } }],
    [
      'a condition that nobody holds',
      400,
      'invalid_request',
      '/halt',
      { method: 'DELETE', headers: { 'if-match': '"1"' } },
    ],
  ])('%s', async (_name, status, code, path, init) => {
    const response = await house.fetch(path, init);
    const body = problem.parse(await response.json());
    expect([response.status, body.status, body.code]).toEqual([status, status, code]);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(body.type).toBe(`https://mission-control.dev/problems/${code}`);
    expect(body.detail.length).toBeGreaterThan(15);
    if (status === 405) expect(response.headers.get('allow')).toContain('GET');
  });
});

describe('ETag', () => {
  const read = async (path: string, headers: Record<string, string> = {}) => {
    const response = await house.fetch(path, { headers });
    const text = await response.text();
    return { status: response.status, tag: response.headers.get('etag') ?? '', text };
  };

  test('is the same while nothing changes: If-None-Match is answered 304', async () => {
    const { task, run } = await house.start(honest);
    for (const path of [
      `/tasks/${task.id}`,
      `/runs/${run.id}`,
      '/tasks',
      `/runs/${run.id}/steps`,
      '/openapi.json',
    ]) {
      const first = await read(path);
      expect([path, first.status, first.tag]).toEqual([path, 200, expect.stringMatching(/^"[\w-]+"$/)]);
      expect(await read(path, { 'if-none-match': first.tag })).toEqual({
        status: 304,
        tag: first.tag,
        text: '',
      });
      expect(await read(path, { 'if-none-match': `"other", W/${first.tag}` })).toMatchObject({ status: 304 });
      expect(await read(path, { 'if-none-match': '"other"' })).toEqual(first);
    }
    const before = await read(`/runs/${run.id}`);
    await house.ask('POST', `/runs/${run.id}/pause`);
    const after = await read(`/runs/${run.id}`, { 'if-none-match': before.tag });
    expect([after.status, after.tag === before.tag]).toEqual([200, false]);
  });

  test('with If-Match keeps somebody from deciding over a change that they have not seen', async () => {
    const { task, run } = await house.start(honest);
    const seen = await read(`/runs/${run.id}`);
    const control = (verb: string, tag: string) =>
      house.fetch(`/runs/${run.id}/${verb}`, { method: 'POST', headers: { 'if-match': tag } });
    expect((await control('pause', seen.tag)).status).toBe(200);
    const stale = await control('resume', seen.tag);
    expect([stale.status, problem.parse(await stale.json()).code]).toEqual([412, 'precondition_failed']);
    expect((await house.ask<{ status: string }>('GET', `/runs/${run.id}`)).status).not.toBe('running');
    const again = await read(`/runs/${run.id}`);
    expect((await control('resume', again.tag)).status).toBe(200);
    expect((await control('pause', '*')).status).toBe(200);
    for (const odd of ['7', 'W/"7"', '"x"', '"1", "2"'])
      expect((await control('pause', odd)).status).toBe(412);

    const { tag } = await read(`/tasks/${task.id}`);
    const rename = (title: string) =>
      house.fetch(`/tasks/${task.id}`, {
        method: 'PATCH',
        body: JSON.stringify({ title }),
        headers: { ...json, 'if-match': tag },
      });
    const answers = await Promise.all(['one', 'two', 'three'].map(rename));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
    const { title } = await house.ask<TaskView>('GET', `/tasks/${task.id}`);
    const winner = answers.findIndex(({ status }) => status === 200);
    expect(title).toBe(['one', 'two', 'three'][winner]);
  });

  test('of an ask that was decided meanwhile refuses the second decision, inside its transaction', async () => {
    const { task, run } = await house.start(honest);
    await house.database.many(
      sql`INSERT INTO asks (id, run_id, task_id, kind, question, detail, action_hash, owner, deadline, default_decision, status)
          VALUES ('ask_tagged', ${run.id}, ${task.id}, 'clarification', 'Which?', '{}', 'x', 'operators',
            now() + interval '1 hour', 'deny', 'open')`,
    );
    const { tag } = await read('/asks/ask_tagged');
    const decide = (answer: string) =>
      house.fetch('/asks/ask_tagged/decide', {
        method: 'POST',
        body: JSON.stringify({ decision: 'answer', answer }),
        headers: { ...json, 'if-match': tag },
      });
    const answers = await Promise.all([decide('this'), decide('that')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const { answer } = await house.ask<AskView>('GET', '/asks/ask_tagged');
    expect(answer).toBe(answers[0]?.status === 200 ? 'this' : 'that');
  });
});
