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
  /** What the body says of when to try again, where no header does. */
  retryDelayMs?: number | undefined;
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
  const retryAfterMs = readRetryAfter(failure.headers ?? {}, now) ?? failure.retryDelayMs;
  return {
    class: classOf(failure, retryAfterMs !== undefined),
    message: describe(failure),
    retryAfterMs,
  };
}

const noCredit = /credit|billing|quota|insufficient funds|payment|(usage|spend\w*) limit/i;
const wrongKey = /api[ _-]?key (is )?(not valid|invalid|incorrect)|(invalid|incorrect) api[ _-]?key/i;
const contextOverflow =
  /prompt is too long|context[ _](window|length|limit)|maximum context|exceeds? the maximum number of tokens/i;

function classOf(failure: Failure, saysWhenToRetry: boolean): ErrorClass {
  const { type, message, code } = failure;
  // Only a replay answers so: its expectation was not met.
  if (type === 'recording_mismatch') return 'recording_mismatch';
  if (failure.status === undefined && type === undefined) return classOfConnection(code, message);
  const named = type === undefined ? undefined : classOfType.get(type);
  if (named !== undefined) return named;
  const status = failure.status ?? statusOfType.get(type ?? '');
  const refused = status === 400 || status === 403 || (status === 429 && !saysWhenToRetry);
  if (status === 402 || type === 'billing_error' || (refused && noCredit.test(message))) return 'no_credit';
  if (status === 413 || type === 'request_too_large') return 'context_overflow';
  if (status === 400 && contextOverflow.test(message)) return 'context_overflow';
  if (status === 401 || status === 403 || status === 407) return 'authentication';
  if (status === 400 && wrongKey.test(message)) return 'authentication';
  if (type === 'authentication_error' || type === 'permission_error') return 'authentication';
  if (type === 'not_found_error' || (status === 404 && /model/i.test(message))) return 'unknown_model';
  if (status === 429 || type === 'rate_limit_error') return 'rate_limited';
  if (status === 529 || status === 503 || type === 'overloaded_error') return 'overloaded';
  if (status === 408 || type === 'timeout_error') return 'timeout';
  if (status === 409 || (status ?? 0) >= 500 || type === 'api_error') return 'server_error';
  if ((status ?? 0) >= 400 || type === 'invalid_request_error') return 'invalid_request';
  // An unnamed error inside an answer that had begun with 200.
  return type === undefined ? 'stream_broken' : 'server_error';
}

/** Providers' names that say it by themselves, whatever the status beside them. */
const classOfType: ReadonlyMap<string, ErrorClass> = new Map([
  ['insufficient_quota', 'no_credit'],
  ['billing_hard_limit_reached', 'no_credit'],
  ['context_length_exceeded', 'context_overflow'],
  ['model_not_found', 'unknown_model'],
  ['model_decommissioned', 'unknown_model'],
  ['invalid_api_key', 'authentication'],
  ['rate_limit_exceeded', 'rate_limited'],
]);

/** Names that come without a status inside an answer that began well. */
const statusOfType: ReadonlyMap<string, number> = new Map([
  ['server_error', 500],
  ['RESOURCE_EXHAUSTED', 429],
  ['UNAVAILABLE', 503],
  ['INTERNAL', 500],
  ['DEADLINE_EXCEEDED', 504],
  ['INVALID_ARGUMENT', 400],
  ['UNAUTHENTICATED', 401],
  ['PERMISSION_DENIED', 403],
  ['NOT_FOUND', 404],
]);

function classOfConnection(code: string | undefined, message: string): ErrorClass {
  // The proxy wants a name and a password: trying again does not help.
  if (refusalByProxy(message) === '407') return 'authentication';
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' ? 'timeout' : 'network';
}

/** What the library for proxies says where the proxy does not connect. */
const proxyRefusal = /Proxy response \((\d+)\)|proxy authentication required/i;

function refusalByProxy(message: string): string | undefined {
  const found = proxyRefusal.exec(message);
  return found === null ? undefined : (found[1] ?? '407');
}

const untrusted =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|CERT_\w+|ERR_TLS_CERT_ALTNAME_INVALID)$/;

function describe({ status, type, message, code }: Failure): string {
  const refusal = status === 407 ? '407' : refusalByProxy(message);
  if (refusal !== undefined) {
    return `The proxy refused the connection with status ${refusal}: look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or ask who runs the proxy.`;
  }
  const text = message.trim() === '' ? 'no reason given' : message;
  if (code !== undefined && untrusted.test(code)) {
    return `${text} (${code}). If the certificate comes from an authority of your own, start with NODE_EXTRA_CA_CERTS=/path/to/authority.pem.`;
  }
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

const named = z.union([z.string(), z.number()]).nullish();
const errorFields = z.object({
  type: named,
  code: named,
  status: named,
  message: z.string(),
  /** Google's: one of them may say when to try again. */
  details: z.array(z.object({ retryDelay: z.string().optional() }).catch({})).nullish(),
});
const errorBody = z.union([
  z.object({ error: errorFields }).transform((body) => body.error),
  z.tuple([z.object({ error: errorFields })]).transform(([body]) => body.error),
  z.object({ error: z.string() }).transform(({ error }) => ({ message: error })),
  errorFields,
]);
const streamError = errorFields.extend({
  statusCode: z.number().nullish(),
  /** The event as the provider sent it. */
  data: errorFields.pick({ details: true }).nullish().catch(undefined),
});

function readFailure(error: unknown): Failure | undefined {
  if (LoadAPIKeyError.isInstance(error)) return { status: 401, message: error.message };
  if (APICallError.isInstance(error)) return readCallError(error);
  if (error instanceof Error) return undefined;
  if (typeof error === 'string') return { status: 200, type: 'error', message: error };
  const inStream = streamError.safeParse(error);
  if (inStream.success) {
    const { statusCode, message, data, details } = inStream.data;
    const status = statusCode ?? statusIn(inStream.data);
    return {
      status,
      type: typeIn(inStream.data) ?? (status === undefined ? 'error' : undefined),
      message,
      retryDelayMs: delayIn({ details: details ?? data?.details }),
    };
  }
  return undefined;
}

function readCallError(error: APICallError): Failure {
  const parsed = errorBody.safeParse(error.data ?? parseOrUndefined(error.responseBody));
  const body: z.infer<typeof errorFields> | undefined = parsed.success ? parsed.data : undefined;
  return {
    status: error.statusCode,
    type: body && typeIn(body),
    message: body?.message ?? messageOf(error),
    headers: error.responseHeaders,
    retryDelayMs: body && delayIn(body),
    code: codeOf(error.cause),
  };
}

/** The name that says most: OpenAI's `code`, Google's `status`, else the `type`. */
function typeIn({ code, status, type }: z.infer<typeof errorFields>): string | undefined {
  const names = [code, status, type].flatMap((name) =>
    typeof name === 'string' && !/^\d*$/.test(name) ? [name] : [],
  );
  return names.find((name) => classOfType.has(name)) ?? names.at(-1);
}

function statusIn({ code, status }: z.infer<typeof errorFields>): number | undefined {
  return [code, status].map(Number).find((value) => value >= 400 && value < 600);
}

function delayIn({ details }: Pick<z.infer<typeof errorFields>, 'details'>): number | undefined {
  const delay = details?.find((detail) => detail.retryDelay !== undefined)?.retryDelay;
  const seconds = /^(\d+(\.\d+)?)s$/.exec(delay ?? '')?.[1];
  return seconds === undefined ? undefined : Math.ceil(Number(seconds) * 1000);
}

/** The innermost reason of a connection that failed says most. */
function messageOf(error: APICallError): string {
  const reasons: string[] = [];
  for (
    let at: unknown = error.cause, depth = 0;
    at instanceof Error && depth < 5;
    at = at.cause, depth += 1
  ) {
    reasons.push(at.message);
  }
  return reasons.find((reason) => proxyRefusal.test(reason)) ?? error.message;
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
