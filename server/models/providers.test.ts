import { describe, expect, test } from 'vitest';
import type { ProviderKind } from '../../contract/models.ts';
import type { ErrorClass } from '../../contract/steps.ts';
import { anthropicProtocol } from '../../test/anthropic-server.ts';
import { chatProtocol } from '../../test/chat-server.ts';
import { googleProtocol } from '../../test/google-server.ts';
import { openAIProtocol } from '../../test/openai-server.ts';
import {
  type Break,
  breakAfter,
  type Failure,
  type Protocol,
  type Said,
  startWireServer,
  type WireServer,
  wireKey,
} from '../../test/wire-server.ts';
import { highestUsage, type Message, type ModelAnswer, ModelError, type ModelRequest } from './model.ts';
import { type CallOptions, callProvider } from './provider-model.ts';
import { openProviderModel } from './providers.ts';
import type { WireReply } from './wire-reply.ts';

const protocols: Record<ProviderKind, Protocol> = {
  anthropic: anthropicProtocol,
  openai: openAIProtocol,
  google: googleProtocol,
  'openai-compatible': chatProtocol,
};
const kinds = Object.keys(protocols) as ProviderKind[];

const said: Said = {
  text: 'I look at the files, ünd then “mend” the sum 漢字.',
  toolCalls: [
    { id: 'call_a', name: 'read_file', argumentsText: '{"path":"a file.ts"}' },
    { id: 'call_b', name: 'read_file', argumentsText: '{"path":"b.ts"}' },
  ],
  usage: { input: 900, cachedInput: 300, output: 50 },
};
const tools = ['note', 'read_file'].map((name) => ({
  name,
  description: 'Does it.',
  inputSchema: { type: 'object', properties: { path: { type: 'string' } } },
}));
const request: ModelRequest = {
  model: 'p/m',
  system: 'Be useful.',
  messages: [{ role: 'user', text: 'Mend the sum.' }],
  tools,
  maxOutputTokens: 1_000,
};
const limits = { idleMs: 5_000, wholeMs: 20_000 };

async function call(
  kind: ProviderKind,
  server: { baseURL: string },
  asked: ModelRequest = request,
  options: Partial<CallOptions & { apiKey: string; model: string; options: object }> = {},
): Promise<ModelAnswer> {
  const { apiKey = wireKey, model = 'm', ...rest } = options;
  const connection = { name: 'p', kind, baseURL: server.baseURL, apiKey, problem: null };
  const opened = await openProviderModel(connection, model, { fetch, options: undefined });
  const signal = new AbortController().signal;
  return callProvider(opened, asked, { signal, onText: () => undefined, limits, ...rest });
}

async function failureOf(work: Promise<unknown>): Promise<ModelError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ModelError)) throw new Error(`not a ModelError: ${error}`, { cause: error });
  return error;
}

describe.each(kinds)('%s', (kind) => {
  const protocol = protocols[kind];
  const serve = (respond: () => WireReply): Promise<WireServer> => startWireServer(protocol, respond);

  test('streams the text, gathers the calls, reports what was used, never more than was reserved', async () => {
    await using server = await serve(() => protocol.answer(said));
    const heard: string[] = [];
    const answer = await call(kind, server, request, { onText: (text) => heard.push(text) });
    expect(answer).toMatchObject({ text: said.text, finishReason: 'tool_calls', usage: said.usage });
    expect(answer.toolCalls.map(({ name, argumentsText }) => [name, JSON.parse(argumentsText)])).toEqual([
      ['read_file', { path: 'a file.ts' }],
      ['read_file', { path: 'b.ts' }],
    ]);
    expect(heard.join('')).toBe(said.text);
    expect(heard.length).toBeGreaterThan(3);
    const [sent] = server.requests;
    expect(Buffer.byteLength(JSON.stringify(sent?.body))).toBeLessThan(highestUsage(request).input + 500);
  });

  test('takes a whole history back, with results, failures and malformed arguments', async () => {
    await using server = await serve(() => protocol.answer({ ...said, toolCalls: [], finish: 'stop' }));
    const results = [
      { callId: 'call_a', name: 'read_file', output: 'x', failed: false },
      { callId: 'call_b', name: 'read_file', output: 'no such file', failed: true },
    ];
    const malformed = { id: 'call_c', name: 'no such tool', argumentsText: '{"path' };
    const messages: Message[] = [
      ...request.messages,
      { role: 'assistant', text: '', toolCalls: said.toolCalls },
      { role: 'tool', results },
      { role: 'user', text: 'Mind the tests.' },
      { role: 'assistant', text: ' ', toolCalls: [] },
      { role: 'user', text: '' },
      { role: 'assistant', text: 'Once more.', toolCalls: [malformed] },
    ];
    const answer = await call(kind, server, { ...request, messages });
    expect(answer).toMatchObject({ toolCalls: [], finishReason: 'stop' });
  });

  const refusals: [Failure, ErrorClass][] = [
    ['slow down', 'rate_limited'],
    ['overloaded', 'overloaded'],
    ['broken', 'server_error'],
    ['no credit', 'no_credit'],
    ['wrong key', 'authentication'],
    ['no such model', 'unknown_model'],
    ['too long', 'context_overflow'],
  ];
  test.each(refusals)('refused with "%s" is %s', async (failure, expected) => {
    await using server = await serve(() => protocol.error(failure));
    const error = await failureOf(call(kind, server));
    expect(error.class).toBe(expected);
    expect(error.usage).toBeUndefined();
    if (failure === 'slow down') expect(error.retryAfterMs).toBe(2_000);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('Mend the sum');
  });

  test('a wrong key is told before anything is answered', async () => {
    await using server = await serve(() => protocol.answer(said));
    const error = await failureOf(call(kind, server, request, { apiKey: 'sk-wrong' }));
    expect(error.class).toBe('authentication');
    expect(error.message).not.toContain('sk-wrong');
  });
});

describe.each(kinds)('%s', (kind) => {
  const protocol = protocols[kind];
  const serve = (respond: () => WireReply): Promise<WireServer> => startWireServer(protocol, respond);

  const breaks: [Break, ErrorClass[]][] = [
    ['close', ['stream_broken']],
    ['cut', ['stream_broken']],
    ['hang', ['timeout']],
    ['slow down', ['rate_limited']],
    ['overloaded', ['overloaded', 'server_error']],
    ['broken', ['server_error']],
  ];
  const whole = protocol.answer(said).frames.length;
  test.each(breaks)('an answer that ends in "%s" anywhere is no answer', async (how, expected) => {
    for (const count of [1, 3, Math.floor(whole / 2), whole - 2]) {
      // Two protocols say how an answer ends before they say what it used; that it ended is then known.
      if (how === 'close' && kind === 'openai-compatible' && count === whole - 2) continue;
      await using server = await serve(() => breakAfter(protocol, protocol.answer(said), count, how));
      const idle = how === 'hang' ? { limits: { idleMs: 150, wholeMs: 20_000 } } : {};
      const error = await failureOf(call(kind, server, request, idle));
      expect(expected, `${how} after ${count}: ${error.message}`).toContain(error.class);
    }
  });

  test('a frame that is not JSON breaks the stream', async () => {
    await using server = await serve(() => {
      const reply = protocol.answer(said);
      return { ...reply, frames: reply.frames.with(1, { text: 'data: {"choices":\n\n', delayMs: 0 }) };
    });
    expect((await failureOf(call(kind, server))).class).toBe('stream_broken');
  });

  test('a page of a gateway is what its status says', async () => {
    const page = [{ text: '<html>Bad Gateway</html>', delayMs: 0 }];
    await using server = await serve(() => ({ status: 502, headers: {}, frames: page, end: 'close' }));
    expect((await failureOf(call(kind, server))).class).toBe('server_error');
  });

  test('an empty answer, a cut one and a refused one are told apart', async () => {
    const empty: Said = { ...said, text: '', toolCalls: [], finish: 'stop' };
    const answers: [Said, string][] = [
      [empty, 'stop'],
      [{ ...said, toolCalls: [], finish: 'length' }, 'length'],
      ...(kind === 'openai' ? [] : [[{ ...empty, finish: 'refused' }, 'refused'] satisfies [Said, string]]),
    ];
    for (const [answer, expected] of answers) {
      await using server = await serve(() => protocol.answer(answer));
      expect(await call(kind, server)).toMatchObject({ text: answer.text, finishReason: expected });
    }
  });

  test('an abort in the middle ends the call at once', async () => {
    await using server = await serve(() => breakAfter(protocol, protocol.answer(said), whole - 2, 'hang'));
    const stop = new AbortController();
    const work = call(kind, server, request, { signal: stop.signal, onText: () => stop.abort('enough') });
    await expect(work).rejects.toBe('enough');
  });

  test('reasoning goes back to the model that gave it, and to no other', async () => {
    // Known to reason, so that its library asks for what it must give back.
    const model = kind === 'openai' ? 'gpt-5' : 'm';
    const reasoning = 'because of the sum';
    await using server = await serve(() => protocol.answer({ ...said, reasoning }));
    const first = await call(kind, server, request, { model });
    expect(first.providerState).toBeDefined();
    const results = first.toolCalls.map(({ id, name }) => ({ callId: id, name, output: 'x', failed: false }));
    const { text, toolCalls, providerState } = first;
    // As the journal keeps it.
    const state: unknown = JSON.parse(JSON.stringify(providerState));
    const follow = (by: string): ModelRequest => ({
      ...request,
      messages: [
        ...request.messages,
        { role: 'assistant', text, toolCalls, providerState: { model: by, state } },
        { role: 'tool', results },
      ],
    });
    await call(kind, server, follow('p/m'), { model });
    await call(kind, server, follow('p/another'), { model });
    const [, own, foreign] = server.requests.map(({ body }) => JSON.stringify(body));
    const marks = { anthropic: '"signature":"signed', openai: '"encrypted_content":"sealed' };
    const mark = kind === 'google' ? '"thoughtSignature":"signed' : '"reasoning_content":"because';
    const expected = kind in marks ? marks[kind as keyof typeof marks] : mark;
    expect(own).toContain(expected);
    expect(foreign).not.toContain('because of');
    for (const body of [own, foreign]) expect(body).toContain('a file.ts');
  });
});

test('Anthropic is told what to keep, and what it wrote to its cache is reported', async () => {
  const usage = { input: 900, cachedInput: 300, cacheWrite: 500, output: 50 };
  await using server = await startWireServer(anthropicProtocol, () =>
    anthropicProtocol.answer({ ...said, usage }),
  );
  const messages: Message[] = [
    ...request.messages,
    { role: 'assistant', text: 'One.', toolCalls: [] },
    { role: 'user', text: 'Go on.' },
  ];
  const answer = await call('anthropic', server, { ...request, messages });
  expect(answer.usage).toEqual(usage);
  const body = server.requests[0]?.body as {
    system: object[];
    tools: object[];
    messages: { role: string; content: object[] }[];
  };
  const kept = (part: object | undefined) => part !== undefined && 'cache_control' in part;
  expect(kept(body.system.at(-1))).toBe(true);
  expect(body.tools.map(kept)).toEqual([false, true]);
  expect(body.messages.map(({ content }) => kept(content.at(-1)))).toEqual([true, false, true]);
});

test('a server that reports no usage is charged a bound from above', async () => {
  const silent = chatProtocol.answer(said);
  const frames = silent.frames.filter(({ text }) => !text.includes('prompt_tokens'));
  await using server = await startWireServer(chatProtocol, () => ({ ...silent, frames }));
  const { usage } = await call('openai-compatible', server);
  expect(usage.input).toBe(highestUsage(request).input);
  expect(usage.output).toBeGreaterThan(said.text.length);
  expect(usage.output).toBeLessThanOrEqual(request.maxOutputTokens);
});

test('a model on one’s own machine needs no key, and none is made up', async () => {
  await using server = await startWireServer({ ...chatProtocol, findRefusal: () => undefined }, () =>
    chatProtocol.answer(said),
  );
  await expect(call('openai-compatible', server, request, { apiKey: '' })).resolves.toMatchObject({
    text: said.text,
  });
  expect(server.requests[0]?.headers.authorization).toBeUndefined();
});

test('thinking is part of what is reserved, not on top of it', async () => {
  await using server = await startWireServer(anthropicProtocol, () => anthropicProtocol.answer(said));
  const connection = {
    name: 'p',
    kind: 'anthropic' as const,
    baseURL: server.baseURL,
    apiKey: wireKey,
    problem: null,
  };
  const think = (budgetTokens: number) =>
    openProviderModel(connection, 'claude-sonnet-4-5', {
      fetch,
      options: { thinking: { type: 'enabled', budgetTokens } },
    });
  const options = { signal: new AbortController().signal, onText: () => undefined, limits };
  const asked = { ...request, maxOutputTokens: 8_000 };
  await callProvider(await think(4_000), asked, options);
  expect(server.requests[0]?.body).toMatchObject({ max_tokens: 8_000, thinking: { budget_tokens: 4_000 } });
  const refused = callProvider(await think(7_900), asked, options);
  await expect(refused).rejects.toMatchObject({ class: 'invalid_request' });
  expect(server.requests).toHaveLength(1);
});
