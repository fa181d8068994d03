import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { anthropicServerKey, startAnthropicServer } from '../../test/anthropic-server.ts';
import { openAnthropic } from './anthropic.ts';
import { type ModelAnswer, ModelError, type ModelRequest } from './model.ts';
import { type CallOptions, callProvider } from './provider-model.ts';
import { replayFetch } from './recorded-model.ts';
import { type WireAnswer, type WireReply, writeAnswer, writeError } from './wire-reply.ts';

const request: ModelRequest = {
  model: 'anthropic/m',
  system: '',
  messages: [{ role: 'user', text: 'Go.' }],
  tools: [],
  maxOutputTokens: 100,
};
const answer: WireAnswer = {
  id: 'msg',
  model: 'm',
  text: 'Here I go.',
  toolCalls: [{ id: 'a', name: 'note', argumentsText: '{"text":"x"}' }],
  usage: { input: 10, cachedInput: 4, output: 7 },
  pace: { chunk: 4, delayMs: 0 },
};
const limits = { idleMs: 5_000, wholeMs: 10_000 };

function ask(reply: WireReply, options: Partial<CallOptions> = {}): Promise<ModelAnswer> {
  const open = openAnthropic({ apiKey: 'x', fetch: replayFetch(() => reply) });
  const signal = new AbortController().signal;
  return callProvider(open('m'), request, { signal, onText: () => undefined, limits, ...options });
}

/** The answer's events, changed by hand. */
function withFrames(change: (frames: WireReply['frames']) => WireReply['frames']): WireReply {
  const reply = writeAnswer(answer);
  return { ...reply, frames: change(reply.frames) };
}

test.each(Array.from({ length: writeAnswer(answer).frames.length }, (_, at) => at))(
  'an answer that ends politely after %i events is broken all the same',
  async (count) => {
    const error = await ask(withFrames((frames) => frames.slice(0, count))).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ class: 'stream_broken' });
    if (count > 0) expect(error).toMatchObject({ usage: { input: 10, cachedInput: 4 } });
  },
);

test('the end event counts, even if the connection then stays open', async () => {
  await expect(ask({ ...writeAnswer(answer), end: 'hang' })).resolves.toMatchObject({ text: 'Here I go.' });
});

test.each([0, 1, 4])('event %i that is not JSON breaks the stream', async (at) => {
  const garbled = withFrames((frames) =>
    frames.with(at, { text: 'event: x\ndata: {"type":\n\n', delayMs: 0 }),
  );
  await expect(ask(garbled)).rejects.toMatchObject({ class: 'stream_broken' });
});

test.each([
  ['rate_limit_error', 'rate_limited'],
  ['overloaded_error', 'overloaded'],
  ['api_error', 'server_error'],
  ['invalid_request_error', 'invalid_request'],
])('%s inside an answer, first or later, is %s', async (type, expected) => {
  const event = { type: 'error', error: { type, message: 'in the stream' } };
  const frame = { text: `event: error\ndata: ${JSON.stringify(event)}\n\n`, delayMs: 0 };
  for (const at of [0, 3]) {
    const reply = withFrames((frames) => [...frames.slice(0, at), frame]);
    await expect(ask(reply)).rejects.toMatchObject({ class: expected });
  }
});

test.each([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['refusal', 'refused'],
  ['brand_new', 'other'],
])('stop reason %s is %s', async (raw, expected) => {
  const reply = withFrames((frames) =>
    frames.map((frame) => ({
      ...frame,
      text: frame.text.replace('"stop_reason":"tool_use"', `"stop_reason":"${raw}"`),
    })),
  );
  await expect(ask(reply)).resolves.toMatchObject({ finishReason: expected });
});

test('malformed arguments stay text', async () => {
  const toolCalls = [{ id: 'a', name: 'note', argumentsText: '{"text": "x' }];
  await expect(ask(writeAnswer({ ...answer, toolCalls }))).resolves.toMatchObject({ toolCalls });
});

test('signs of life keep a slow answer from its idle limit', async () => {
  const ping = { text: 'event: ping\ndata: {"type":"ping"}\n\n', delayMs: 120 };
  const slow = withFrames(([start, ...rest]) => [
    ...(start ? [start] : []),
    ping,
    ping,
    ping,
    ping,
    ping,
    ...rest,
  ]);
  await expect(ask(slow, { limits: { idleMs: 500, wholeMs: 10_000 } })).resolves.toMatchObject({
    finishReason: 'tool_calls',
  });
});

test('an answer that never ends meets the limit of the whole call', async () => {
  const slow = writeAnswer({ ...answer, pace: { chunk: 1, delayMs: 20 } });
  await expect(ask(slow, { limits: { idleMs: 10_000, wholeMs: 100 } })).rejects.toMatchObject({
    class: 'timeout',
    message: 'The model did not finish: the answer took over 0.1 s.',
    usage: { input: 10 },
  });
});

test('a call that is aborted before it starts sends nothing', async () => {
  const signal = AbortSignal.abort('too late');
  await expect(ask(writeAnswer(answer), { signal })).rejects.toBe('too late');
});

test('what the caller does wrong with the text is not blamed on the provider', async () => {
  const bug = new Error('a bug');
  const onText = () => {
    throw bug;
  };
  await expect(ask(writeAnswer(answer, { kind: 'hang', after: 8 }), { onText })).rejects.toBe(bug);
});

test('no error carries the prompt', async () => {
  const error = await ask(writeError(500, 'api_error', 'no')).catch((reason: unknown) => reason);
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('Go.');
});

test.each([
  ['a port where nobody listens', 'http://127.0.0.1:1/v1'],
  ['a name that does not exist', 'http://nowhere.invalid/v1'],
])('%s is a failure of the network', async (_what, baseURL) => {
  const open = openAnthropic({ apiKey: 'x', baseURL });
  const options = { signal: new AbortController().signal, onText: () => undefined, limits };
  await expect(callProvider(open('m'), request, options)).rejects.toMatchObject({ class: 'network' });
});

test('a server that takes the connection and says nothing meets the idle limit', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = openAnthropic({ apiKey: 'x', baseURL: `http://127.0.0.1:${port}/v1` });
  const options = { signal: new AbortController().signal, onText: () => undefined };
  const short = { idleMs: 100, wholeMs: 10_000 };
  const call = callProvider(open('m'), request, { ...options, limits: short });
  await expect(call).rejects.toMatchObject({ class: 'timeout' });
  server.close();
});

test('a wrong key is told from every other failure', async () => {
  await using server = await startAnthropicServer(() => writeAnswer(answer));
  const options = { signal: new AbortController().signal, onText: () => undefined, limits };
  const wrong = openAnthropic({ apiKey: 'sk-wrong', baseURL: server.baseURL });
  await expect(callProvider(wrong('m'), request, options)).rejects.toMatchObject({ class: 'authentication' });
  expect(server.requests).toEqual([]);
  const right = openAnthropic({ apiKey: anthropicServerKey, baseURL: server.baseURL });
  await expect(callProvider(right('m'), request, options)).resolves.toMatchObject({ usage: answer.usage });
});
