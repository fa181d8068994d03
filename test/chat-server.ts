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
  'slow down': { status: 429, type: 'tokens', code: 'rate_limit_exceeded', message: 'Rate limit reached' },
  overloaded: { status: 503, type: 'internal_server_error', code: null, message: 'over capacity' },
  broken: { status: 500, type: 'internal_server_error', code: null, message: 'Internal Server Error' },
  'no credit': { status: 402, type: 'billing', code: null, message: 'Payment required' },
  'wrong key': {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    message: 'Invalid API Key',
  },
  'no such model': {
    status: 404,
    type: 'invalid_request_error',
    code: 'model_not_found',
    message: 'The model `m` does not exist or you do not have access to it.',
  },
  'too long': {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
    message: 'Please reduce the length of the messages or completion.',
  },
};

const call = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
const chatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: z.string() }),
  z.object({ role: z.literal('user'), content: z.unknown() }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullish(),
    tool_calls: z.array(call).optional(),
    reasoning_content: z.string().optional(),
  }),
  z.object({ role: z.literal('tool'), tool_call_id: z.string(), content: z.string() }),
]);
const requestBody = z.object({
  model: z.string(),
  messages: z.array(chatMessage).min(1),
  stream: z.literal(true),
  stream_options: z.object({ include_usage: z.literal(true) }),
  max_tokens: z.number().int().positive(),
});

/** OpenAI's chat protocol, as servers that are compatible with it speak it. */
export const chatProtocol: Protocol = {
  version: '/v1',
  findRefusal({ method, url, headers }, body) {
    if (method !== 'POST' || url !== '/v1/chat/completions') return errorReply('no such model');
    if (headers.authorization !== `Bearer ${wireKey}`) return errorReply('wrong key');
    const parsed = requestBody.safeParse(body);
    return parsed.success
      ? undefined
      : jsonReply(400, { error: { message: z.prettifyError(parsed.error), type: 'invalid_request_error' } });
  },
  answer: (said) => streamOf(chunksFor(said)),
  error: errorReply,
  errorFrame: (failure) => `data: ${JSON.stringify({ error: errorOf(failure) })}\n\n`,
};

function errorOf(failure: Failure) {
  const { status: _, ...error } = failures[failure];
  return error;
}

function errorReply(failure: Failure) {
  const headers: Record<string, string> = failure === 'slow down' ? { 'retry-after': '2' } : {};
  return jsonReply(failures[failure].status, { error: errorOf(failure) }, headers);
}

function chunksFor(said: Said): string[] {
  const { text, toolCalls, usage, reasoning = '', finish } = said;
  const deltas: object[] = [
    { role: 'assistant', content: '' },
    ...chunksOf(reasoning).map((part) => ({ reasoning_content: part })),
    ...chunksOf(text).map((part) => ({ content: part })),
    ...toolCalls.flatMap(({ id, name, argumentsText }, index) => [
      { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] },
      ...chunksOf(argumentsText).map((part) => ({ tool_calls: [{ index, function: { arguments: part } }] })),
    ]),
  ];
  const reason = { stop: 'stop', length: 'length', refused: 'content_filter' }[finish ?? 'stop'];
  const spent = {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cachedInput },
  };
  const about = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm' };
  const chunk = (delta: object, finish_reason: string | null) => ({
    ...about,
    choices: [{ index: 0, delta, finish_reason }],
  });
  return [
    ...deltas.map((delta) => chunk(delta, null)),
    chunk({}, finish === undefined && toolCalls.length > 0 ? 'tool_calls' : reason),
    { ...about, choices: [], usage: spent },
  ]
    .map((event) => `data: ${JSON.stringify(event)}\n\n`)
    .concat('data: [DONE]\n\n');
}
