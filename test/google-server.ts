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

const failures: Record<Failure, { code: number; status: string; message: string; details?: object[] }> = {
  'slow down': {
    code: 429,
    status: 'RESOURCE_EXHAUSTED',
    message: 'You exceeded your current quota, please check your plan and billing details.',
    details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '2s' }],
  },
  overloaded: {
    code: 503,
    status: 'UNAVAILABLE',
    message: 'The model is overloaded. Please try again later.',
  },
  broken: { code: 500, status: 'INTERNAL', message: 'An internal error has occurred.' },
  'no credit': {
    code: 429,
    status: 'RESOURCE_EXHAUSTED',
    message: 'Your prepayment credits are depleted. Please manage your billing.',
  },
  'wrong key': {
    code: 400,
    status: 'INVALID_ARGUMENT',
    message: 'API key not valid. Please pass a valid API key.',
  },
  'no such model': {
    code: 404,
    status: 'NOT_FOUND',
    message: 'models/m is not found for API version v1beta.',
  },
  'too long': {
    code: 400,
    status: 'INVALID_ARGUMENT',
    message: 'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).',
  },
};

const part = z.union([
  z.object({ text: z.string(), thought: z.boolean().optional(), thoughtSignature: z.string().optional() }),
  z.object({
    functionCall: z.object({ name: z.string(), args: z.record(z.string(), z.unknown()) }),
    thoughtSignature: z.string().optional(),
  }),
  z.object({ functionResponse: z.object({ name: z.string(), response: z.unknown() }) }),
]);
const requestBody = z.object({
  systemInstruction: z.object({ parts: z.array(z.object({ text: z.string() })) }).optional(),
  contents: z.array(z.object({ role: z.enum(['user', 'model']), parts: z.array(part).min(1) })).min(1),
  generationConfig: z.object({ maxOutputTokens: z.number().int().positive() }),
});

/** Google's Gemini protocol, as the Gemini API streams it. */
export const googleProtocol: Protocol = {
  version: '/v1beta',
  findRefusal({ method, url, headers }, body) {
    if (method !== 'POST' || url !== '/v1beta/models/m:streamGenerateContent?alt=sse') {
      return errorReply('no such model');
    }
    if (headers['x-goog-api-key'] !== wireKey) return errorReply('wrong key');
    const parsed = requestBody.safeParse(body);
    if (parsed.success) return undefined;
    const message = z.prettifyError(parsed.error);
    return jsonReply(400, { error: { code: 400, status: 'INVALID_ARGUMENT', message } });
  },
  answer: (said) => streamOf(chunksFor(said)),
  error: errorReply,
  errorFrame: (failure) => `data: ${JSON.stringify({ error: failures[failure] })}\r\n\r\n`,
};

function errorReply(failure: Failure) {
  return jsonReply(failures[failure].code, { error: failures[failure] });
}

function chunksFor(said: Said): string[] {
  const { text, toolCalls, usage, reasoning, finish } = said;
  const reason = { stop: 'STOP', length: 'MAX_TOKENS', refused: 'SAFETY' }[finish ?? 'stop'];
  const signed = reasoning === undefined ? {} : { thoughtSignature: `signed ${reasoning}` };
  const parts: object[] = [
    ...(reasoning === undefined ? [] : [{ text: reasoning, thought: true }]),
    ...chunksOf(text).map((piece) => ({ text: piece })),
    // The signature stands on the first call of an answer.
    ...toolCalls.map(({ name, argumentsText }, at) => ({
      functionCall: { name, args: JSON.parse(argumentsText) as unknown },
      ...(at === 0 && signed),
    })),
  ];
  const usageMetadata = {
    promptTokenCount: usage.input,
    cachedContentTokenCount: usage.cachedInput,
    candidatesTokenCount: usage.output,
    totalTokenCount: usage.input + usage.output,
  };
  const begun = { promptTokenCount: usage.input, totalTokenCount: usage.input };
  const last = { candidates: [{ index: 0, content: { role: 'model', parts: [] }, finishReason: reason }] };
  return [
    ...parts.map((piece) => ({
      candidates: [{ index: 0, content: { role: 'model', parts: [piece] } }],
      usageMetadata: begun,
    })),
    { ...last, usageMetadata },
  ].map((event) => `data: ${JSON.stringify(event)}\r\n\r\n`);
}
