import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../errors.ts';
import { openLog } from '../log.ts';
import { highestPriceOf, highestUsage, type Message, priceOf } from './model.ts';
import { type ModelsSettings, openModels } from './models.ts';
import { readPriceTable } from './prices.ts';
import type { Connection, ModelRegistry } from './registry.ts';

const header = { recording: 1, title: 'A sample', model: 'recorded/sample', source: 'written by hand' };
const turns = [
  { turn: 0, answer: { text: 'One.' } },
  { turn: 1, answer: { text: 'Two, at some more length.' } },
  { turn: 2, answer: { text: 'Three.' }, misbehave: [{ kind: '529' }] },
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recordings-'));
  await writeFile(
    join(folder, 'sample.jsonl'),
    [header, ...turns].map((line) => JSON.stringify(line)).join('\n'),
  );
  await writeFile(join(folder, 'broken.jsonl'), '{"recording":');
});
afterAll(() => rm(folder, { recursive: true }));

const open = (settings: Partial<ModelsSettings> = {}) =>
  openModels({
    recordings: folder,
    registry: registryOf(),
    prices: readPriceTable(),
    log: openLog('silent'),
    ...settings,
  });
const anthropic: Connection = {
  name: 'anthropic',
  kind: 'anthropic',
  baseURL: 'https://api.anthropic.com/v1',
  apiKey: 'sk-test',
  problem: null,
};
function registryOf(...connections: Connection[]): ModelRegistry {
  return { connections: async () => connections, prices: async () => ({}) };
}

test('describes a recording as a recording, with a price that makes budgets move', async () => {
  expect(await open().describe('recorded/sample')).toMatchObject({
    model: 'recorded/sample',
    recording: true,
    contextTokens: 200_000,
    maxOutputTokens: 32_000,
    price: { input: 2_000_000, cachedInput: 100_000, cacheWrite: 2_000_000, output: 10_000_000 },
  });
});

test('describes a real model by the price table, a dated name by its model', async () => {
  const price = { input: 3_000_000, cachedInput: 300_000, cacheWrite: 3_750_000, output: 15_000_000 };
  for (const model of ['anthropic/claude-sonnet-4-5', 'anthropic/claude-sonnet-4-5-20250929']) {
    expect(await open({ registry: registryOf(anthropic) }).describe(model)).toMatchObject({
      model,
      recording: false,
      price,
    });
  }
});

test.each([
  ['recorded/none', undefined, 'There are: recorded/broken, recorded/sample.'],
  ['sample', undefined, 'There is no model sample.'],
  ['anthropic/claude-opus-5-5', undefined, 'or set ANTHROPIC_API_KEY and restart'],
  ['openai/gpt', anthropic, 'recorded/sample, anthropic/claude-'],
  ['anthropic/claude-future', anthropic, 'mission.config.json'],
  ['recorded/broken', undefined, 'broken.jsonl is not valid, line 1'],
])('refuses to describe %s and says what to do', async (model, connected, message) => {
  const registry = registryOf(...(connected ? [connected] : []));
  const refused = () => open({ registry }).describe(model);
  await expect(refused).rejects.toBeInstanceOf(AppError);
  await expect(refused).rejects.toThrow(message);
});

test('a recording that is broken fails the call with its file and line', async () => {
  const request = { model: 'recorded/broken', system: '', messages: [], tools: [], maxOutputTokens: 100 };
  const call = open().call(request, { signal: new AbortController().signal, onText: () => undefined });
  await expect(call).rejects.toThrow(/broken\.jsonl is not valid, line 1/);
  await expect(call).rejects.toBeInstanceOf(AppError);
});

test('reserves no less than is then reported, and passes its crash points', async () => {
  const reached: string[] = [];
  const models = open({ crashPoints: { reach: (name) => reached.push(name) } });
  const { price } = await models.describe('recorded/sample');
  const messages: Message[] = [];
  const options = { signal: new AbortController().signal, onText: () => undefined };
  for (const said of ['Go.', 'ü€ 漢字 🚀'.repeat(50), '']) {
    messages.push({ role: 'user', text: said });
    const request = { model: 'recorded/sample', system: 'S', messages, tools: [], maxOutputTokens: 100 };
    if (messages.length === 5)
      await expect(models.call(request, options)).rejects.toMatchObject({ class: 'overloaded' });
    const { text, usage } = await models.call(request, options);
    const highest = highestUsage(request);
    expect(usage.input).toBeGreaterThan(0);
    expect(usage.input).toBeLessThanOrEqual(highest.input);
    expect(usage.output).toBeLessThanOrEqual(highest.output);
    expect(priceOf(usage, price)).toBeLessThanOrEqual(highestPriceOf(highest, price));
    messages.push({ role: 'assistant', text, toolCalls: [] });
  }
  const [before, after] = ['model:before', 'model:after'];
  expect(reached).toEqual([before, after, before, after, before, before, after]);
});

test('a price table of one’s own takes the place of ours, or says what is wrong with it', async () => {
  const file = join(folder, 'prices.json');
  const model = { input: 1, cachedInput: 0.1, output: 2 };
  await writeFile(file, JSON.stringify({ asOf: '2026-01-01', models: { 'anthropic/mine': model } }));
  const models = open({ registry: registryOf(anthropic), prices: readPriceTable(file) });
  expect(await models.describe('anthropic/mine')).toMatchObject({
    price: { output: 2_000_000 },
    contextTokens: 200_000,
  });
  await writeFile(file, JSON.stringify({ asOf: '2026-01-01', models: { 'anthropic/mine': { input: -1 } } }));
  expect(() => readPriceTable(file)).toThrow(/prices\.json is not valid[\s\S]*anthropic\/mine/);
  expect(() => readPriceTable(join(folder, 'none.json'))).toThrow(/none\.json cannot be read/);
});

test('a server that repeats the key in its refusal does not bring it into a message', async () => {
  const apiKey = 'sk-very-secret-key';
  const send: typeof fetch = async (_input, init) => {
    const key = new Headers(init?.headers).get('x-api-key');
    return Response.json(
      { error: { type: 'authentication_error', message: `bad key ${key}` } },
      { status: 401 },
    );
  };
  const models = open({ registry: registryOf({ ...anthropic, apiKey }), fetch: send });
  const request = {
    model: 'anthropic/claude-sonnet-4-5',
    system: '',
    messages: [],
    tools: [],
    maxOutputTokens: 100,
  };
  const call = models.call(request, { signal: new AbortController().signal, onText: () => undefined });
  const error: unknown = await call.catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    class: 'authentication',
    message: 'bad key [key] (401 authentication_error)',
  });
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(apiKey);
});

test('a price that a person gave takes the place of the list’s, and leaves the limits', async () => {
  const registry: ModelRegistry = {
    connections: async () => [anthropic],
    prices: async () => ({
      'anthropic/claude-opus-5': { input: 7, cachedInput: 1, output: 9, asOf: '2026-11-01' },
    }),
  };
  const table = await open({ registry: registryOf(anthropic) }).describe('anthropic/claude-opus-5');
  const said = await open({ registry }).describe('anthropic/claude-opus-5');
  expect(said.price).toEqual({ input: 7e6, cachedInput: 1e6, cacheWrite: 8.75e6, output: 9e6 });
  expect(said.contextTokens).toBe(table.contextTokens);
});
