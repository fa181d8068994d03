import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProviderKind } from '../../contract/models.ts';
import { openLog } from '../log.ts';
import { openModelLists } from './list-models.ts';

const lists: Record<string, unknown> = {
  '/openai/models': { object: 'list', data: [{ id: 'gpt-a' }, { id: 'gpt-b' }] },
  '/anthropic/models': { data: [{ type: 'model', id: 'claude-a', display_name: 'A' }], has_more: false },
  '/google/models': {
    models: [
      { name: 'models/gemini-a', supportedGenerationMethods: ['generateContent', 'countTokens'] },
      { name: 'models/embedder', supportedGenerationMethods: ['embedContent'] },
    ],
  },
  '/broken/models': 'no list',
};
const headers: Record<string, unknown>[] = [];
const server = createServer((request, response) => {
  headers.push(request.headers);
  const list = lists[request.url ?? ''];
  response.writeHead(list === undefined ? 404 : 200).end(JSON.stringify(list ?? {}));
});
let origin = '';
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const connect = (path: string, kind: ProviderKind, apiKey: string | null = 'k') => ({
  name: path,
  kind,
  baseURL: `${origin}/${path}`,
  apiKey,
  problem: null,
});
let now = 0;
const list = openModelLists({ fetch, log: openLog('silent'), now: () => now });

test.each<[string, ProviderKind, string[], string]>([
  ['openai', 'openai', ['gpt-a', 'gpt-b'], 'authorization'],
  ['anthropic', 'anthropic', ['claude-a'], 'x-api-key'],
  ['google', 'google', ['gemini-a'], 'x-goog-api-key'],
])('%s says which models it has', async (path, kind, expected, header) => {
  expect(await list(connect(path, kind))).toEqual(expected);
  expect(headers.at(-1)?.[header]).toContain('k');
});

test.each(['broken', 'missing'])('a list that is %s is left out', async (path) => {
  expect(await list(connect(path, 'openai-compatible', null))).toEqual([]);
});

test('a provider that failed is asked again after half a minute', async () => {
  const asked = headers.length;
  await list(connect('missing', 'openai-compatible', null));
  expect(headers).toHaveLength(asked);
  now += 30_001;
  await list(connect('missing', 'openai-compatible', null));
  expect(headers).toHaveLength(asked + 1);
});

test('a list is asked for once in five minutes', async () => {
  await list(connect('openai', 'openai'));
  const asked = headers.length;
  await list(connect('openai', 'openai'));
  expect(headers).toHaveLength(asked);
  now += 300_001;
  await list(connect('openai', 'openai'));
  expect(headers).toHaveLength(asked + 1);
});
