import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ModelsView, ProviderView, TestedModel } from '../../contract/models.ts';
import type { ModelStep } from '../../contract/steps.ts';
import type { Finding, Problem } from '../../contract/system.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import { sql } from '../../server/database/sql.ts';
import { openResponder } from '../../server/models/recorded-model.ts';
import { openRecordings } from '../../server/models/recording.ts';
import { writeAnswer, writeError } from '../../server/models/wire-reply.ts';
import { startAnthropicServer } from '../anthropic-server.ts';
import { chatProtocol } from '../chat-server.ts';
import { startWireServer, wireKey } from '../wire-server.ts';
import { House, honest, sumProject } from './house.ts';

const price = { input: 1, output: 2 };

/** A provider on loopback that answers as a recording does, over HTTP. */
async function startProvider(house: House, model: string, first: 'rate limit' | 'answer' = 'answer') {
  const respond = openResponder(() => openRecordings(join(house.folder, 'recordings')).read(model.slice(9)));
  let limited = first === 'answer';
  return startAnthropicServer((body) => {
    if (JSON.stringify(body).includes('Reply with the word OK')) {
      const usage = { input: 20, cachedInput: 0, output: 2 };
      const pace = { chunk: 9, delayMs: 0 };
      return writeAnswer({ id: 'm', model: 'm', text: 'OK', toolCalls: [], usage, pace });
    }
    if (limited) return respond(body);
    limited = true;
    return writeError(429, 'rate_limit_error', 'slow down', { 'retry-after': '1' });
  });
}

test('a newcomer connects a provider, prices its model, tries it and gives it a task', async () => {
  await using house = await House.open({ agentModel: 'mine/sum' });
  const recorded = house.record(honest);
  await using provider = await startProvider(house, recorded);
  const repository = house.repository(sumProject);
  const body = { instructions: 'Mend the sum.', repository, model: 'mine/sum' };

  const unknown = await house.ask<Problem>('POST', '/tasks', body);
  expect(unknown).toMatchObject({
    status: 422,
    detail: expect.stringContaining('PUT /api/v1/providers/mine'),
  });

  const put = { kind: 'anthropic', baseUrl: provider.baseURL, apiKey: 'sk-wrong-key' };
  await house.ask<ProviderView>('PUT', '/providers/mine', put);
  const unpriced = await house.ask<Problem>('POST', '/tasks', body);
  expect(unpriced).toMatchObject({
    status: 422,
    detail: expect.stringContaining('No price is known for mine/sum'),
  });
  await house.ask('PUT', '/models/mine%2Fsum/price', price);

  const wrong = await house.ask<TestedModel>('POST', '/models/test', { model: 'mine/sum' });
  expect(wrong).toMatchObject({ ok: false, message: expect.stringContaining('authentication') });
  const connected = await house.ask<ProviderView>('PUT', '/providers/mine', { ...put, apiKey: wireKey });
  expect(connected).toMatchObject({ connected: true, keyFrom: 'vault' });
  expect(await house.ask('POST', '/models/test', { model: 'mine/sum' })).toMatchObject({ ok: true });

  const { models } = await house.ask<ModelsView>('GET', '/models');
  expect(models).toContainEqual(
    expect.objectContaining({ model: 'mine/sum', source: 'listed', recording: false }),
  );
  expect(models).toContainEqual(expect.objectContaining({ model: recorded, recording: true }));
  const { findings } = await house.ask<{ findings: Finding[] }>('GET', '/doctor?test=true');
  expect(findings).toContainEqual(expect.objectContaining({ name: 'models', state: 'ok' }));

  const { run } = await house.ask<CreatedTask>('POST', '/tasks', body);
  expect(await house.rest(run.id)).toMatchObject({ run: { status: 'succeeded', recording: false } });

  const everything = await house.database.many(
    sql`SELECT data::text AS text FROM events UNION ALL SELECT row_to_json(steps)::text FROM steps
        UNION ALL SELECT row_to_json(providers)::text FROM providers
        UNION ALL SELECT encode(sealed, 'escape') FROM credentials`,
  );
  expect(JSON.stringify([everything, models, findings])).not.toContain(wireKey);
  const open = await house.database.many(sql`SELECT 1 FROM budgets WHERE reserved_micros <> 0`);
  expect(open).toEqual([]);
});

test('a model without credit is left for the next one, which is recorded, named and shown', async () => {
  await using house = await House.open({ fallbackModels: ['second/sum'], record: null });
  const recorded = house.record(honest);
  await using broke = await startWireServer(chatProtocol, () => chatProtocol.error('no credit'));
  await using provider = await startProvider(house, recorded);
  const first = { kind: 'openai-compatible', baseUrl: broke.baseURL, apiKey: wireKey };
  await house.ask('PUT', '/providers/first', first);
  await house.ask('PUT', '/providers/second', {
    kind: 'anthropic',
    baseUrl: provider.baseURL,
    apiKey: wireKey,
  });
  for (const model of ['first%2Fm', 'second%2Fsum']) await house.ask('PUT', `/models/${model}/price`, price);

  const { run } = await house.start(honest, { model: 'first/m' });
  expect(await house.rest(run.id)).toMatchObject({ run: { status: 'succeeded' } });
  const steps = await house.steps(run.id);
  const calls = steps.filter((step): step is ModelStep => step.kind === 'model');
  expect(calls.map(({ name, status }) => `${name} ${status}`)).toEqual([
    'first/m failed',
    ...honest.map(() => 'second/sum done'),
  ]);
  expect(steps).toContainEqual(
    expect.objectContaining({
      kind: 'note',
      intent: expect.objectContaining({ fallback: { from: 'first/m', to: 'second/sum' } }),
    }),
  );
});

test('told to slow down, a run waits by name without a worker, and so does every other', async () => {
  await using house = await House.open();
  const recorded = house.record(honest);
  await using provider = await startProvider(house, recorded, 'rate limit');
  await house.ask('PUT', '/providers/mine', {
    kind: 'anthropic',
    baseUrl: provider.baseURL,
    apiKey: wireKey,
  });
  await house.ask('PUT', '/models/mine%2Fsum/price', price);
  const { run } = await house.start(honest, { model: 'mine/sum' });
  const waits: unknown[] = [];
  for await (const event of house.follow(`run=${run.id}&after=0`, 60_000)) {
    if (event.type === 'run.waiting') waits.push(event.data['waiting']);
    if (event.type === 'run.succeeded') break;
  }
  expect(waits).toContainEqual(expect.objectContaining({ on: 'timer', atDeadline: 'retry' }));
  const pace = await house.database.many(sql`SELECT provider, reason FROM provider_paces`);
  expect(pace).toEqual([{ provider: 'mine', reason: expect.stringContaining('slow down') }]);
});

test('a conversation with a provider is written down and replays as a whole task', async () => {
  const elsewhere = await House.open();
  const file = join(elsewhere.folder, 'recordings', 'taken.jsonl');
  {
    await using house = await House.open({ record: file });
    const recorded = house.record(honest);
    await using provider = await startProvider(house, recorded);
    await house.ask('PUT', '/providers/mine', {
      kind: 'anthropic',
      baseUrl: provider.baseURL,
      apiKey: wireKey,
    });
    await house.ask('PUT', '/models/mine%2Fsum/price', price);
    const { run } = await house.start(honest, { model: 'mine/sum' });
    expect(await house.rest(run.id)).toMatchObject({ run: { status: 'succeeded' } });
  }
  expect(await readFile(file, 'utf8')).not.toContain(wireKey);
  await using house = elsewhere;
  const { run } = await house.start(honest, { model: 'recorded/taken' });
  expect(await house.rest(run.id)).toMatchObject({ run: { status: 'succeeded', recording: true } });
});
