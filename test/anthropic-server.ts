import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Responder } from '../server/models/recorded-model.ts';
import { type WireReply, writeAnswer, writeError } from '../server/models/wire-reply.ts';
import { type Failure, type Protocol, serveReply, wireKey } from './wire-server.ts';

export interface AnthropicServer extends AsyncDisposable {
  /** For `baseURL` of the provider. */
  baseURL: string;
  /** Bodies of the requests so far, parsed. */
  requests: unknown[];
}

export const anthropicServerKey = wireKey;

/** Anthropic's Messages protocol on loopback: the real provider is spoken to over real HTTP. */
export async function startAnthropicServer(respond: Responder): Promise<AnthropicServer> {
  const requests: unknown[] = [];
  const served: Promise<void>[] = [];
  const server = createServer((request, response) => {
    served.push(
      serveReply(request, response, (body) => {
        const refusal = findRefusal(request);
        if (refusal) return refusal;
        requests.push(body);
        return respond(body);
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await Promise.all(served);
    },
  };
}

function findRefusal({ method, url, headers }: IncomingMessage) {
  if (method !== 'POST' || url !== '/v1/messages')
    return writeError(404, 'not_found_error', `no route ${url}`);
  if (headers['x-api-key'] !== anthropicServerKey) {
    return writeError(401, 'authentication_error', 'invalid x-api-key');
  }
  return undefined;
}

const failures: Record<Failure, [status: number, type: string, message: string]> = {
  'slow down': [429, 'rate_limit_error', 'This request would exceed your rate limit.'],
  overloaded: [529, 'overloaded_error', 'Overloaded'],
  broken: [500, 'api_error', 'Internal server error'],
  'no credit': [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'],
  'wrong key': [401, 'authentication_error', 'invalid x-api-key'],
  'no such model': [404, 'not_found_error', 'model: m'],
  'too long': [400, 'invalid_request_error', 'prompt is too long: 214315 tokens > 200000 maximum'],
};

/** The same protocol, for tests that hold every provider to one table. */
export const anthropicProtocol: Protocol = {
  version: '/v1',
  findRefusal,
  answer({ text, toolCalls, usage, reasoning, finish }) {
    const reply = writeAnswer({
      id: 'msg',
      model: 'm',
      text,
      toolCalls,
      usage,
      pace: { chunk: 7, delayMs: 0 },
    });
    const reason = finish && { stop: 'end_turn', length: 'max_tokens', refused: 'refusal' }[finish];
    const frames = reply.frames.map((frame) =>
      reason === undefined
        ? frame
        : { ...frame, text: frame.text.replace(/"stop_reason":"\w+"/, `"stop_reason":"${reason}"`) },
    );
    return { ...reply, frames: reasoning === undefined ? frames : withThinking(frames, reasoning) };
  },
  error(failure) {
    const [status, type, message] = failures[failure];
    return writeError(status, type, message, failure === 'slow down' ? { 'retry-after': '2' } : {});
  },
  errorFrame(failure) {
    const [, type, message] = failures[failure];
    return `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type, message } })}\n\n`;
  },
};

/** A signed block of thinking before the others, whose numbers move up by one. */
function withThinking(frames: WireReply['frames'], reasoning: string): WireReply['frames'] {
  const [start, ...rest] = frames.map((frame) => ({
    ...frame,
    text: frame.text.replace(/"index":(\d+)/, (_, index: string) => `"index":${Number(index) + 1}`),
  }));
  const block = { type: 'thinking', thinking: '', signature: '' };
  const events = [
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: reasoning } },
    {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'signature_delta', signature: `signed ${reasoning}` },
    },
    { type: 'content_block_stop', index: 0 },
  ];
  const thinking = events.map((event) => ({
    text: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    delayMs: 0,
  }));
  return [...(start ? [start] : []), ...thinking, ...rest];
}
