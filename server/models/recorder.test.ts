import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chatProtocol } from '../../test/chat-server.ts';
import { type Said, startWireServer, wireKey } from '../../test/wire-server.ts';
import { openLog } from '../log.ts';
import type { Message, ModelAnswer, ModelRequest, Models } from './model.ts';
import { openModels } from './models.ts';
import { readPriceTable } from './prices.ts';
import { openRecorder } from './recorder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recorder-'));
});
afterEach(() => rm(folder, { recursive: true }));

const usage = { input: 100, cachedInput: 20, output: 5 };
const foundKey = `ghp_${'a1'.repeat(18)}`;
const answers: Said[] = [
  { text: 'I look.', toolCalls: [{ id: 'c1', name: 'read_file', argumentsText: '{"path":"a.ts"}' }], usage },
  { text: '', toolCalls: [], usage, finish: 'stop' },
  {
    text: `The keys are ${wireKey} and ${foundKey}.`,
    toolCalls: [{ id: 'c2', name: 'read_file', argumentsText: '{"path": "b' }],
    usage,
  },
  { text: 'Done.', toolCalls: [], usage, finish: 'stop' },
];

const opened = (
  models: Parameters<typeof openModels>[0]['registry'],
  recorder?: ReturnType<typeof openRecorder>,
) =>
  openModels({
    recordings: folder,
    registry: models,
    prices: readPriceTable(),
    log: openLog('silent'),
    recorder,
  });

/** A conversation as the loop leads it. */
async function converse(models: Models, model: string, turns: number): Promise<ModelAnswer[]> {
  const messages: Message[] = [{ role: 'user', text: 'Look at the files.' }];
  const said: ModelAnswer[] = [];
  const tools = [{ name: 'read_file', description: 'Reads.', inputSchema: { type: 'object' } }];
  while (said.length < turns) {
    const request: ModelRequest = {
      model,
      system: 'S',
      messages: [...messages],
      tools,
      maxOutputTokens: 100,
    };
    const answer = await models.call(request, {
      signal: new AbortController().signal,
      onText: () => undefined,
    });
    said.push(answer);
    const { text, toolCalls } = answer;
    const results = toolCalls.map(({ id, name }) => ({ callId: id, name, output: 'ok', failed: false }));
    messages.push({ role: 'assistant', text, toolCalls });
    if (results.length > 0) messages.push({ role: 'tool', results });
    else messages.push({ role: 'user', text: 'Go on.' });
  }
  return said;
}

test('a real conversation is replayed as it was, and holds no key', async () => {
  let turn = 0;
  await using server = await startWireServer(chatProtocol, () => {
    const answer = answers[turn];
    turn += 1;
    if (answer === undefined) throw new Error('no such turn');
    return chatProtocol.answer(answer);
  });
  const connection = {
    name: 'groq',
    kind: 'openai-compatible' as const,
    baseURL: server.baseURL,
    apiKey: wireKey,
    problem: null,
  };
  const registry = { connections: async () => [connection], prices: async () => ({}) };
  const file = join(folder, 'taken.jsonl');
  const recorder = openRecorder({ file, log: openLog('silent'), secrets: async () => [wireKey] });
  const live = await converse(opened(registry, recorder), 'groq/m', answers.length);

  const text = await readFile(file, 'utf8');
  expect(text).toContain('recorded from groq/m');
  for (const secret of [wireKey, foundKey]) expect(text).not.toContain(secret);
  expect((await stat(file)).mode & 0o777).toBe(0o600);

  const nobody = { connections: async () => [], prices: async () => ({}) };
  const replayed = await converse(opened(nobody), 'recorded/taken', answers.length);
  const essence = (answer: ModelAnswer) => ({
    text: answer.text.replace(wireKey, '[secret]').replace(foundKey, '[secret]'),
    calls: answer.toolCalls.map(({ name, argumentsText }) => [name, argumentsText]),
  });
  expect(replayed.map(essence)).toEqual(live.map(essence));
  expect(replayed[0]?.usage).toEqual(usage);
});

test('a turn asked again takes the place of what came after it; another conversation is left out', async () => {
  const file = join(folder, 'again.jsonl');
  const recorder = openRecorder({ file, log: openLog('silent'), secrets: async () => [] });
  const say = (text: string): ModelAnswer => ({ text, toolCalls: [], finishReason: 'stop', usage });
  const request = (...said: string[]): ModelRequest => ({
    model: 'groq/m',
    system: 'S',
    messages: [
      { role: 'user', text: 'Go.' },
      ...said.map((text): Message => ({ role: 'assistant', text, toolCalls: [] })),
    ],
    tools: [],
    maxOutputTokens: 9,
  });
  await recorder.write(request(), say('one'));
  await recorder.write(request('one'), say('two'));
  await recorder.write(request('one'), say('two again'));
  await recorder.write({ ...request(), messages: [{ role: 'user', text: 'Other.' }] }, say('other'));
  const lines = (await readFile(file, 'utf8')).trim().split('\n').slice(1);
  expect(lines.map((line) => JSON.parse(line).answer.text)).toEqual(['one', 'two again']);
});

test('a file that cannot be a recording is refused before anything is called', async () => {
  const options = { log: openLog('silent'), secrets: async () => [] };
  expect(() => openRecorder({ ...options, file: join(folder, 'x.txt') })).toThrow('/tmp/my-task.jsonl');
  const file = join(folder, 'there.jsonl');
  await writeFile(file, 'mine');
  expect(() => openRecorder({ ...options, file })).toThrow('exists already');
});
