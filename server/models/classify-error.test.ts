import { APICallError } from '@ai-sdk/provider';
import { expect, test } from 'vitest';
import type { ErrorClass } from '../../contract/steps.ts';
import { classifyError, classifyFailure, type Failure, readRetryAfter } from './classify-error.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

const table: [Failure, ErrorClass][] = [
  [{ status: 429, type: 'rate_limit_error', message: 'slow down' }, 'rate_limited'],
  [{ status: 429, message: 'quota of tokens a minute', headers: { 'retry-after': '3' } }, 'rate_limited'],
  [{ status: 429, message: 'You exceeded your current quota' }, 'no_credit'],
  [{ status: 529, type: 'overloaded_error', message: 'Overloaded' }, 'overloaded'],
  [{ type: 'overloaded_error', message: 'Overloaded' }, 'overloaded'],
  [{ status: 503, type: 'overloaded_error', message: 'Overloaded' }, 'overloaded'],
  [{ status: 500, type: 'api_error', message: 'Internal server error' }, 'server_error'],
  [{ status: 502, message: 'Bad Gateway' }, 'server_error'],
  [{ status: 504, type: 'timeout_error', message: 'timed out' }, 'timeout'],
  [{ status: 408, message: 'Request Timeout' }, 'timeout'],
  [{ status: 409, message: 'Conflict' }, 'server_error'],
  [{ status: 401, type: 'authentication_error', message: 'invalid x-api-key' }, 'authentication'],
  [{ status: 403, type: 'permission_error', message: 'not allowed' }, 'authentication'],
  [{ status: 402, message: 'Payment Required' }, 'no_credit'],
  [{ status: 400, type: 'billing_error', message: 'no' }, 'no_credit'],
  [{ status: 400, message: 'Your credit balance is too low to access the Anthropic API.' }, 'no_credit'],
  [{ status: 400, message: 'You have reached your specified API usage limits.' }, 'no_credit'],
  [{ status: 404, type: 'not_found_error', message: 'model: claude-x' }, 'unknown_model'],
  [{ status: 404, message: 'model claude-x does not exist' }, 'unknown_model'],
  [{ status: 404, message: 'Not Found' }, 'invalid_request'],
  [
    { status: 413, type: 'request_too_large', message: 'Request exceeds the maximum size' },
    'context_overflow',
  ],
  [{ status: 400, message: 'prompt is too long: 214315 tokens > 200000 maximum' }, 'context_overflow'],
  [
    { status: 400, message: 'input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000' },
    'context_overflow',
  ],
  [
    { status: 400, type: 'invalid_request_error', message: 'messages: roles must alternate' },
    'invalid_request',
  ],
  [{ status: 422, message: 'Unprocessable' }, 'invalid_request'],
  [{ status: 422, type: 'recording_mismatch', message: 'Turn 2 …' }, 'recording_mismatch'],
  [{ status: 200, message: 'Failed to process successful response' }, 'stream_broken'],
  [{ message: 'Cannot connect to API', code: 'ENOTFOUND' }, 'network'],
  [{ message: 'Cannot connect to API', code: 'ECONNREFUSED' }, 'network'],
  [{ message: 'Cannot connect to API', code: 'UND_ERR_CONNECT_TIMEOUT' }, 'network'],
  [{ message: 'Cannot connect to API', code: 'UND_ERR_HEADERS_TIMEOUT' }, 'timeout'],
  [{ type: 'something_new', message: 'in a stream' }, 'server_error'],
];

test.each(table)('%j is %s', (failure, expected) => {
  expect(classifyFailure(failure, now).class).toBe(expected);
});

test.each([
  [{ 'retry-after': '2' }, 2_000],
  [{ 'retry-after': '0.5' }, 500],
  [{ 'retry-after-ms': '150', 'retry-after': '2' }, 150],
  [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:07 GMT' }, 7_000],
  [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
  [{ 'retry-after': 'soon' }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{}, undefined],
])('%j waits %s ms', (headers, ms) => {
  expect(readRetryAfter(headers as Record<string, string>, now)).toBe(ms);
});

test('reads the type from the body of a failed call, and names both in the message', () => {
  const error = new APICallError({
    message: 'Service Unavailable',
    url: 'http://x',
    requestBodyValues: {},
    statusCode: 503,
    responseBody: '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
  });
  expect(classifyError(error, now)).toEqual({
    class: 'overloaded',
    message: 'Overloaded (503 overloaded_error)',
    retryAfterMs: undefined,
  });
});

test('takes a page of HTML from a gateway for what its status says', () => {
  const error = new APICallError({
    message: 'Bad Gateway',
    url: 'http://x',
    requestBodyValues: {},
    statusCode: 502,
    responseBody: '<html>Bad Gateway</html>',
  });
  expect(classifyError(error, now)?.class).toBe('server_error');
});

test('leaves errors alone that no provider causes', () => {
  expect(classifyError(new TypeError('undefined is not a function'), now)).toBeUndefined();
});
