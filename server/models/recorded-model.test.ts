import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorClass } from '../../contract/steps.ts';
import { anthropicServerKey, startAnthropicServer } from '../../test/anthropic-server.ts';
import { openLog } from '../log.ts';
import { type Message, type ModelAnswer, ModelError, type ModelRequest, type Models } from './model.ts';
import { openModels } from './models.ts';
import { readPriceTable } from './prices.ts';
import { openResponder } from './recorded-model.ts';
import { openRecordings } from './recording.ts';
import type { Connection } from './registry.ts';

const header = { recording: 1, title: 'A sample', model: 'recorded/sample', source: 'written by hand' };
const calls = [
  { name: 'read_file', input: { path: 'a.ts' } },
  { name: 'read_file', input: { path: 'b.ts' } },
];
const text = 'I look at the files first.';
const usage = { input: 900, cachedInput: 300, output: 50 };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recordings-'));
});
afterEach(() => rm(folder, { recursive: true }));

const record = (...turns: unknown[]) =>
  writeFile(join(folder, 'sample.jsonl'), [header, ...turns].map((line) => JSON.stringify(line)).join('\n'));

const ways = ['in process', 'over HTTP'] as const;

/** The same recording, replayed in this process or behind a real HTTP server. */
async function openWay(
  way: (typeof ways)[number],
  idleMs = 10_000,
): Promise<AsyncDisposable & { models: Models; model: string }> {
  const responder = openResponder((name) => openRecordings(folder).read(name));
  const server = way === 'over HTTP' ? await startAnthropicServer(responder) : undefined;
  const connections: Connection[] = server
    ? [
        {
          name: 'anthropic',
          kind: 'anthropic',
          baseURL: server.baseURL,
          apiKey: anthropicServerKey,
          problem: null,
        },
      ]
    : [];
  const models = openModels({
    recordings: folder,
    registry: { connections: async () => connections, prices: async () => ({}) },
    prices: readPriceTable(),
    log: openLog('silent'),
    limits: { idleMs, wholeMs: 20_000 },
  });
  return {
    models,
    model: server ? 'anthropic/sample' : 'recorded/sample',
    [Symbol.asyncDispose]: async () => server?.[Symbol.asyncDispose](),
  };
}

function requestOf(model: string, ...messages: Message[]): ModelRequest {
  const tools = [{ name: 'read_file', description: 'Reads.', inputSchema: { type: 'object' } }];
  const first: Message = { role: 'user', text: 'Mend the sum.' };
  return { model, system: 'Phase: implement', messages: [first, ...messages], tools, maxOutputTokens: 1000 };
}

const neverAborted = new AbortController().signal;
const ask = (models: Models, request: ModelRequest) =>
  models.call(request, { signal: neverAborted, onText: () => undefined });

async function failureOf(models: Models, request: ModelRequest): Promise<ModelError> {
  const error = await ask(models, request).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ModelError)) throw new Error(`not a ModelError: ${error}`);
  return error;
}

/** The history as the loop would keep it after an answer whose calls all failed. */
function followUp({ text: said, toolCalls }: ModelAnswer, output: string): Message[] {
  const results = toolCalls.map(({ id, name }) => ({ callId: id, name, output, failed: true }));
  return [
    { role: 'assistant', text: said, toolCalls },
    ...(results.length > 0 ? [{ role: 'tool' as const, results }] : []),
  ];
}

describe.each(ways)('%s', (way) => {
  test('streams the text, gathers the calls, reports what was used', async () => {
    await record({ turn: 0, answer: { text, toolCalls: calls, usage, pace: { chunk: 5, delayMs: 1 } } });
    await using opened = await openWay(way);
    const heard: string[] = [];
    const answer = await opened.models.call(requestOf(opened.model), {
      signal: neverAborted,
      onText: (part) => heard.push(part),
    });
    expect(answer).toEqual({
      text,
      toolCalls: calls.map(({ name, input }, at) => ({
        id: `toolu_0_${at}`,
        name,
        argumentsText: JSON.stringify(input),
      })),
      finishReason: 'tool_calls',
      usage,
    });
    expect(heard.join('')).toBe(text);
    expect(heard.length).toBeGreaterThan(3);
  });

  const started = { input: 900, cachedInput: 300, output: 1 };
  const faults: [object, ErrorClass, Partial<ModelError>][] = [
    [{ kind: '429', retryAfterSeconds: 2 }, 'rate_limited', { retryAfterMs: 2000, usage: undefined }],
    [{ kind: '529' }, 'overloaded', { usage: undefined }],
    [{ kind: '500' }, 'server_error', { usage: undefined }],
    [{ kind: 'error_in_stream', after: 0 }, 'overloaded', { usage: started }],
    [{ kind: 'error_in_stream', after: 12 }, 'overloaded', { usage: started }],
    [{ kind: 'cut_stream' }, 'stream_broken', { usage: started }],
    [{ kind: 'hang' }, 'timeout', { usage: started }],
    [{ kind: 'hang', after: 12 }, 'timeout', { usage: started }],
  ];
  test.each(faults)('%j fails as %s, and then the turn is answered', async (fault, expected, also) => {
    await record({
      turn: 0,
      answer: { text, toolCalls: calls, usage },
      misbehave: [{ ...fault, times: 2 }],
    });
    await using opened = await openWay(way, expected === 'timeout' ? 300 : undefined);
    const request = requestOf(opened.model);
    for (const _ of [1, 2]) {
      const error = await failureOf(opened.models, request);
      expect(error).toMatchObject({ class: expected, ...also });
    }
    await expect(ask(opened.models, request)).resolves.toMatchObject({ text, usage });
  });
});

describe.each(ways)('%s', (way) => {
  test.each([
    ['malformed_arguments', { toolCalls: [{ id: 'toolu_0_0_wrong0', argumentsText: '{"path"' }] }],
    ['unknown_tool', { toolCalls: [{ id: 'toolu_0_0_wrong0', name: 'no_such_tool' }] }],
    ['empty_turn', { text: '', toolCalls: [], finishReason: 'stop' }],
  ])('%s is an answer that stands in the history and is no turn', async (kind, expected) => {
    await record(
      {
        turn: 0,
        expect: { contains: ['Mend the sum'] },
        answer: { text, toolCalls: calls },
        misbehave: [{ kind }],
      },
      { turn: 1, expect: { contains: ['was read'], lacks: ['never said'] }, answer: { text: 'Done.' } },
    );
    await using opened = await openWay(way);
    const wrong = await ask(opened.models, requestOf(opened.model));
    expect(wrong).toMatchObject(expected);
    const history = followUp(wrong, 'that was wrong');

    // A process started anew has seen nothing, and goes on all the same.
    await using restarted = await openWay(way);
    const right = await ask(restarted.models, requestOf(restarted.model, ...history));
    expect(right.toolCalls).toHaveLength(2);
    history.push(...followUp(right, 'was read'));
    await expect(ask(restarted.models, requestOf(restarted.model, ...history))).resolves.toMatchObject({
      text: 'Done.',
      finishReason: 'stop',
    });
  });

  test('an empty turn that the caller throws away is not given for ever', async () => {
    await record({ turn: 0, answer: { text }, misbehave: [{ kind: 'empty_turn' }] });
    await using opened = await openWay(way);
    await expect(ask(opened.models, requestOf(opened.model))).resolves.toMatchObject({ text: '' });
    await expect(ask(opened.models, requestOf(opened.model))).resolves.toMatchObject({ text });
  });
});

describe.each(ways)('%s', (way) => {
  test.each([
    [
      { contains: ['Mend the product'] },
      'Turn 0 of recorded/sample expects "Mend the product" in the last message. The last message is: Mend the sum.',
    ],
    [{ contains: ['Phase: implement'] }, 'in the last message'],
    [
      { requestContains: ['Phase: plan'], phase: 'implement' },
      '(phase implement) expects "Phase: plan" in the request',
    ],
    [{ lacks: ['the sum'] }, 'expects no "the sum" in the request, but it holds'],
    [{ tools: ['git_commit'] }, 'expects the tool git_commit. Offered: read_file.'],
  ])('an expectation %j that is not met names what came', async (expectation, message) => {
    await record({ turn: 0, expect: expectation, answer: { text } });
    await using opened = await openWay(way);
    const error = await failureOf(opened.models, requestOf(opened.model));
    expect(error.class).toBe('recording_mismatch');
    expect(error.message).toContain(message);
  });

  test('past its last turn a recording has nothing to say', async () => {
    await record({ turn: 0, expect: { requestContains: ['implement'] }, answer: { text } });
    await using opened = await openWay(way);
    const said: Message = { role: 'assistant', text, toolCalls: [] };
    const error = await failureOf(
      opened.models,
      requestOf(opened.model, said, { role: 'user', text: 'More?' }),
    );
    expect(error).toMatchObject({ class: 'recording_mismatch' });
    expect(error.message).toContain('has no turn 1, its last is 0. The last message is: More?');
  });
});

describe.each(ways)('%s', (way) => {
  test('an abort before the first word settles at once, with its reason', async () => {
    await record({ turn: 0, answer: { text, pace: { chunk: 1, delayMs: 50_000 } } });
    await using opened = await openWay(way);
    const reason = new Error('stopped by a person');
    const stop = new AbortController();
    AbortSignal.timeout(50).addEventListener('abort', () => stop.abort(reason));
    const before = performance.now();
    const call = opened.models.call(requestOf(opened.model), {
      signal: stop.signal,
      onText: () => undefined,
    });
    await expect(call).rejects.toBe(reason);
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test.each([{ kind: 'hang', after: 40 }, undefined])('so does one in the middle (%j)', async (fault) => {
    await record({
      turn: 0,
      answer: { text, toolCalls: calls, pace: { chunk: 10, delayMs: fault ? 0 : 300 } },
      misbehave: fault ? [fault] : [],
    });
    await using opened = await openWay(way);
    const stop = new AbortController();
    const heard: string[] = [];
    const onText = (part: string) => {
      heard.push(part);
      stop.abort('enough');
    };
    const call = opened.models.call(requestOf(opened.model), { signal: stop.signal, onText });
    await expect(call).rejects.toBe('enough');
    expect(heard).toHaveLength(1);
  });
});

test('what two conversations are shown is counted apart', async () => {
  await record({ turn: 0, answer: { text }, misbehave: [{ kind: '529' }] });
  await using opened = await openWay('in process');
  const request = requestOf(opened.model);
  const other = { ...request, system: 'Another run' };
  await expect(failureOf(opened.models, request)).resolves.toMatchObject({ class: 'overloaded' });
  await expect(failureOf(opened.models, other)).resolves.toMatchObject({ class: 'overloaded' });
  await expect(ask(opened.models, request)).resolves.toMatchObject({ text });
});

test('a request that the service would refuse is refused', async () => {
  const respond = openResponder(() => undefined);
  const body = {
    model: 'sample',
    max_tokens: 9,
    stream: true,
    messages: [{ role: 'assistant', content: 'Hi' }],
  };
  const { status, frames } = respond(body);
  expect(status).toBe(400);
  expect(frames[0]?.text).toContain('first message must use the \\"user\\" role');
});
