import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ToolCall } from '../../contract/steps.ts';
import { openAnthropic } from './anthropic.ts';
import { highestUsage, type Message, type ModelRequest } from './model.ts';
import { buildPrompt } from './prompt.ts';
import { callProvider } from './provider-model.ts';
import { replayFetch } from './recorded-model.ts';
import { writeAnswer } from './wire-reply.ts';
import { textOf, type WireRequest, wireRequest } from './wire-request.ts';

const call = (id: string, argumentsText = '{}') => ({ id, name: 'read_file', argumentsText });
const result = (callId: string, output = 'ok', failed = false) => ({
  callId,
  name: 'read_file',
  output,
  failed,
});

/** What the provider's library makes of a request, once it passed for a body the service takes. */
async function sendOverWire(request: ModelRequest): Promise<WireRequest> {
  const bodies: WireRequest[] = [];
  const open = openAnthropic({
    apiKey: 'x',
    fetch: replayFetch((body) => {
      bodies.push(wireRequest.parse(body));
      const usage = { input: 1, cachedInput: 0, output: 1 };
      return writeAnswer({
        id: 'm',
        model: 'm',
        text: 'ok',
        toolCalls: [],
        usage,
        pace: { chunk: 9, delayMs: 0 },
      });
    }),
  });
  await callProvider(open('m'), request, { signal: new AbortController().signal, onText: () => undefined });
  const [body] = bodies;
  if (!body) throw new Error('nothing was sent');
  return body;
}

function requestOf(messages: Message[], system = 'Be useful.'): ModelRequest {
  const inputSchema = { type: 'object', properties: { path: { type: 'string' } } };
  const tools = [{ name: 'read_file', description: 'Reads a file.', inputSchema }];
  return { model: 'm', system, messages, tools, maxOutputTokens: 100 };
}

test('puts results first and merges what the user said', async () => {
  const { messages } = await sendOverWire(
    requestOf([
      { role: 'user', text: 'Do it.' },
      { role: 'assistant', text: 'I look.', toolCalls: [call('a'), call('b')] },
      { role: 'user', text: 'Mind the tests.' },
      { role: 'tool', results: [result('a')] },
      { role: 'tool', results: [result('b', 'no such file', true)] },
      { role: 'user', text: 'And the style.' },
    ]),
  );
  expect(messages.map(({ role, content }) => [role, content.map(({ type }) => type)])).toEqual([
    ['user', ['text']],
    ['assistant', ['text', 'tool_use', 'tool_use']],
    ['user', ['tool_result', 'tool_result', 'text', 'text']],
  ]);
  expect(messages[2]?.content[1]).toMatchObject({
    tool_use_id: 'b',
    is_error: true,
    content: 'no such file',
  });
});

test('carries malformed arguments inside an object', async () => {
  const { messages } = await sendOverWire(
    requestOf([
      { role: 'user', text: 'Do it.' },
      { role: 'assistant', text: '', toolCalls: [call('a', '{"path":"a'), call('b', '[1]'), call('c', '')] },
    ]),
  );
  const inputs = messages[1]?.content.flatMap((part) => (part.type === 'tool_use' ? [part.input] : []));
  expect(inputs).toEqual([{ __malformed: '{"path":"a' }, { __malformed: '[1]' }, { __malformed: '' }]);
  expect(messages[2] && textOf(messages[2].content)).toContain('No result of this call was recorded.');
});

test('gives every answer its own message, an empty one too', () => {
  const prompt = buildPrompt(
    requestOf([
      { role: 'assistant', text: ' ', toolCalls: [] },
      { role: 'assistant', text: 'Done.', toolCalls: [] },
    ]),
  );
  expect(prompt.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'user',
    'assistant',
    'user',
  ]);
});

const anyText = fc.oneof(fc.constantFrom('', ' ', '\n'), fc.string({ unit: 'grapheme', maxLength: 30 }));
const anyId = fc.constantFrom('a', 'b', 'c', 'd e', '');
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ role: fc.constant('user' as const), text: anyText }),
  fc.record({
    role: fc.constant('tool' as const),
    results: fc.array(fc.record({ callId: anyId, name: anyText, output: anyText, failed: fc.boolean() })),
  }),
  fc.record({
    role: fc.constant('assistant' as const),
    text: anyText,
    toolCalls: fc.constant<ToolCall[]>([]),
  }),
);

test('whatever the history holds, the service takes it, and it counts fewer bytes than are reserved', async () => {
  const histories = fc.array(
    fc.oneof(anyMessage, fc.tuple(anyText, fc.array(anyText, { minLength: 1, maxLength: 3 }))),
  );
  await fc.assert(
    fc.asyncProperty(histories, anyText, async (history, system) => {
      const messages = history.map((entry, at): Message => {
        if (!Array.isArray(entry)) return entry;
        const [text, calls] = entry;
        return {
          role: 'assistant',
          text,
          toolCalls: calls.map((argument, n) => call(`c${at}_${n}`, argument)),
        };
      });
      const request = requestOf(messages, system);
      const wire = await sendOverWire(request);
      expect(wire.messages.filter(({ role }) => role === 'assistant')).toHaveLength(
        messages.filter(({ role }) => role === 'assistant').length,
      );
      expect(bytesOf(wire)).toBeLessThanOrEqual(highestUsage(request).input);
    }),
    { numRuns: 60 },
  );
});

/** Every byte that a tokenizer could see. */
function bytesOf({ system = [], messages, tools }: WireRequest): number {
  const said = [system, ...messages.map(({ content }) => content)].map(textOf).join('');
  return Buffer.byteLength(said + JSON.stringify(tools));
}
