import { APICallError, LoadAPIKeyError } from '@ai-sdk/provider';
import { z } from 'zod';
import type { ErrorClass } from '../../contract/steps.ts';

/** What is known of a failed call, whichever way it came to light. */
export interface Failure {
  /** HTTP status; absent where no answer came. */
  status?: number | undefined;
  /** The provider's name for the error, such as `overloaded_error`. */
  type?: string | undefined;
  message: string;
  headers?: Record<string, string> | undefined;
  /** Node's or undici's code of a failed connection, such as `ECONNREFUSED`. */
  code?: string | undefined;
}

export interface ClassifiedError {
  class: ErrorClass;
  message: string;
  retryAfterMs: number | undefined;
}

/**
 * Classifies what the provider's library threw or streamed as an error.
 * @param now wall time in milliseconds, against which a `Retry-After` date is read
 * @returns undefined for an error that no provider causes: the caller rethrows it
 */
export function classifyError(error: unknown, now: number): ClassifiedError | undefined {
  const failure = readFailure(error);
  return failure && classifyFailure(failure, now);
}

export function classifyFailure(failure: Failure, now: number): ClassifiedError {
  const retryAfterMs = readRetryAfter(failure.headers ?? {}, now);
  return {
    class: classOf(failure, retryAfterMs !== undefined),
    message: describe(failure),
    retryAfterMs,
  };
}

const noCredit = /credit|billing|quota|insufficient funds|payment|(usage|spend\w*) limit/i;
const contextOverflow =
  /prompt is too long|context[ _](window|length|limit)|maximum context|exceeds? the maximum number of tokens/i;

function classOf({ status, type, message, code }: Failure, saysWhenToRetry: boolean): ErrorClass {
  // Only a replay answers so: its expectation was not met.
  if (type === 'recording_mismatch') return 'recording_mismatch';
  if (status === undefined && type === undefined) return classOfConnection(code);
  const refused = status === 400 || status === 403 || (status === 429 && !saysWhenToRetry);
  if (status === 402 || type === 'billing_error' || (refused && noCredit.test(message))) return 'no_credit';
  if (status === 413 || type === 'request_too_large') return 'context_overflow';
  if (status === 400 && contextOverflow.test(message)) return 'context_overflow';
  if (status === 401 || status === 403) return 'authentication';
  if (type === 'authentication_error' || type === 'permission_error') return 'authentication';
  if (type === 'not_found_error' || (status === 404 && /model/i.test(message))) return 'unknown_model';
  if (status === 429 || type === 'rate_limit_error') return 'rate_limited';
  if (status === 529 || type === 'overloaded_error') return 'overloaded';
  if (status === 408 || type === 'timeout_error') return 'timeout';
  if (status === 409 || (status ?? 0) >= 500 || type === 'api_error') return 'server_error';
  if ((status ?? 0) >= 400 || type === 'invalid_request_error') return 'invalid_request';
  // An unnamed error inside an answer that had begun with 200.
  return type === undefined ? 'stream_broken' : 'server_error';
}

function classOfConnection(code: string | undefined): ErrorClass {
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' ? 'timeout' : 'network';
}

function describe({ status, type, message }: Failure): string {
  const text = message.trim() === '' ? 'no reason given' : message;
  const origin = [status === 200 ? undefined : status, type].filter((part) => part !== undefined);
  return origin.length === 0 ? text : `${text} (${origin.join(' ')})`;
}

/** `retry-after-ms`, or `Retry-After` in seconds or as a date; undefined where neither can be read. */
export function readRetryAfter(headers: Record<string, string>, now: number): number | undefined {
  const ms = headers['retry-after-ms'];
  if (ms !== undefined && /^\d+(\.\d+)?$/.test(ms.trim())) return Math.ceil(Number(ms));
  const value = headers['retry-after']?.trim();
  if (!value) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const errorFields = z.object({ type: z.string(), message: z.string() });
const errorBody = z.union([z.object({ error: errorFields }).transform((body) => body.error), errorFields]);
const streamError = z.object({
  type: z.string(),
  message: z.string(),
  statusCode: z.number().optional(),
});

function readFailure(error: unknown): Failure | undefined {
  if (LoadAPIKeyError.isInstance(error)) return { status: 401, message: error.message };
  if (APICallError.isInstance(error)) return readCallError(error);
  const inStream = streamError.safeParse(error);
  if (inStream.success && !(error instanceof Error)) {
    return { status: inStream.data.statusCode, type: inStream.data.type, message: inStream.data.message };
  }
  return undefined;
}

function readCallError(error: APICallError): Failure {
  const body = errorBody.safeParse(error.data ?? parseOrUndefined(error.responseBody));
  return {
    status: error.statusCode,
    type: body.success ? body.data.type : undefined,
    message: body.success ? body.data.message : error.message,
    headers: error.responseHeaders,
    code: codeOf(error.cause),
  };
}

function codeOf(cause: unknown): string | undefined {
  for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return undefined;
}

function parseOrUndefined(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the provider's library gave up because the answer itself could not be read. */
export function isUnreadableAnswer(error: unknown): boolean {
  return (
    error instanceof Error &&
    (unreadable.has(error.name) || error.message === 'Expected a normalized Anthropic stream error')
  );
}
/** Names of the library's errors; the sentence above is what it throws when the very first event is unreadable. */
const unreadable = new Set([
  'AI_JSONParseError',
  'AI_TypeValidationError',
  'AI_InvalidResponseDataError',
  'AI_EmptyResponseBodyError',
]);
