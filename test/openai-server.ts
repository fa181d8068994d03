import { z } from 'zod';
import {
  chunksOf,
  type Failure,
  jsonReply,
  type Protocol,
  type Said,
  streamOf,
  wireKey,
} from './wire-server.ts';

const failures: Record<Failure, { status: number; type: string; code: string | null; message: string }> = {
  'slow down': {
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached for requests',
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    code: null,
    message: 'The engine is currently overloaded',
  },
  broken: { status: 500, type: 'server_error', code: 'server_error', message: 'The server had an error' },
  'no credit': {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    message: 'You exceeded your current quota, please check your plan and billing details.',
  },
  'wrong key': {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    message: 'Incorrect API key provided',
  },
  'no such model': {
    status: 404,
    type: 'invalid_request_error',
    code: 'model_not_found',
    message: 'The model `m` does not exist',
  },
  'too long': {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
    message: 'Your input exceeds the context window of this model.',
  },
};

const item = z.discriminatedUnion('type', [
  z.object({ type: z.literal('reasoning'), encrypted_content: z.string() }),
  z.object({
    type: z.literal('function_call'),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({ type: z.literal('function_call_output'), call_id: z.string(), output: z.unknown() }),
]);
const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.unknown(),
});
const requestBody = z.object({
  model: z.string(),
  input: z.array(z.union([item, message])).min(1),
  stream: z.literal(true),
  store: z.literal(false),
  max_output_tokens: z.number().int().min(16),
});

/** OpenAI's Responses protocol. */
export const openAIProtocol: Protocol = {
  version: '/v1',
  findRefusal({ method, url, headers }, body) {
    if (method !== 'POST' || url !== '/v1/responses') return errorReply('no such model');
    if (headers.authorization !== `Bearer ${wireKey}`) return errorReply('wrong key');
    const parsed = requestBody.safeParse(body);
    if (parsed.success) return undefined;
    const error = { type: 'invalid_request_error', code: null, message: z.prettifyError(parsed.error) };
    return jsonReply(400, { error });
  },
  answer: (said) => streamOf(eventsOf(said).map((event) => frameOf(event))),
  error: errorReply,
  errorFrame(failure) {
    const { code, type, message } = failures[failure];
    return frameOf({ type: 'error', code: code ?? type, message, param: null, sequence_number: 9 });
  },
};

function errorReply(failure: Failure) {
  const { status, type, code, message } = failures[failure];
  const headers = failure === 'slow down' ? { 'retry-after': '2' } : {};
  return jsonReply(
    status,
    { error: { message, type, param: null, code } },
    headers as Record<string, string>,
  );
}

function frameOf(event: { type: string } & Record<string, unknown>): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function eventsOf(said: Said): Events {
  const items = [...reasoningEvents(said), ...textEvents(said), ...callEvents(said)];
  const numbered = items.map((group, at) => group.map((event) => ({ ...event, output_index: at })));
  const response = { id: 'resp_1', created_at: 1, model: 'm', object: 'response' };
  const { input, cachedInput, cacheWrite, output } = said.usage;
  const usage = {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: cachedInput,
      ...(cacheWrite && { cache_write_tokens: cacheWrite }),
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
  };
  const incomplete = said.finish === 'length';
  return [
    { type: 'response.created', response: { ...response, status: 'in_progress' } },
    ...numbered.flat(),
    {
      type: incomplete ? 'response.incomplete' : 'response.completed',
      response: {
        ...response,
        status: incomplete ? 'incomplete' : 'completed',
        incomplete_details: incomplete ? { reason: 'max_output_tokens' } : null,
        usage,
      },
    },
  ];
}

type Events = ({ type: string } & Record<string, unknown>)[];

function reasoningEvents({ reasoning }: Said): Events[] {
  if (reasoning === undefined) return [];
  const sealed = { type: 'reasoning', id: 'rs_1', encrypted_content: `sealed ${reasoning}`, summary: [] };
  return [
    [
      { type: 'response.output_item.added', item: { ...sealed, encrypted_content: '' } },
      { type: 'response.output_item.done', item: sealed },
    ],
  ];
}

function textEvents({ text }: Said): Events[] {
  if (text === '') return [];
  const id = 'msg_1';
  return [
    [
      { type: 'response.output_item.added', item: { type: 'message', id, role: 'assistant', content: [] } },
      ...chunksOf(text).map((delta) => ({
        type: 'response.output_text.delta',
        item_id: id,
        content_index: 0,
        delta,
      })),
      {
        type: 'response.output_item.done',
        item: {
          type: 'message',
          id,
          role: 'assistant',
          content: [{ type: 'output_text', text, annotations: [] }],
        },
      },
    ],
  ];
}

function callEvents({ toolCalls }: Said): Events[] {
  return toolCalls.map(({ id, name, argumentsText }) => {
    const call = { type: 'function_call', id: `fc_${id}`, call_id: id, name };
    return [
      { type: 'response.output_item.added', item: { ...call, arguments: '' } },
      ...chunksOf(argumentsText).map((delta) => ({
        type: 'response.function_call_arguments.delta',
        item_id: call.id,
        delta,
      })),
      {
        type: 'response.output_item.done',
        item: { ...call, arguments: argumentsText, status: 'completed' },
      },
    ];
  });
}
