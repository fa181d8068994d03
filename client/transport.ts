import type { z } from 'zod';
import { ApiProblem, parseJson, readProblem, UnexpectedAnswer, Unreachable } from './problems.ts';

/** Where the server is, and what each request carries: a key, or the page's CSRF token. */
export interface Connection {
  /** Such as `http://127.0.0.1:4700`; empty for the server that a page came from. */
  url: string;
  headers: Readonly<Record<string, string>>;
}

export interface TransportOptions {
  /** Read for every request, since a restarted server may have another address and key. */
  connect: () => Connection | Promise<Connection>;
  /** For one try of one request. Default 30 s. */
  timeoutMs?: number;
  /** How often a request that failed in passing is tried again. Default 3. */
  retries?: number;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Default: one that is made anew. Give your own to repeat a request of before, across a crash of yours. */
  idempotencyKey?: string | undefined;
  /** Only if the thing still has this ETag. */
  ifMatch?: string | undefined;
}

export interface ApiRequest extends CallOptions {
  method: string;
  /** Below `/api/v1`, with its query. */
  path: string;
  /** JSON, or bytes that go out as they are. */
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
}

const firstDelayMs = 250;
const longestDelayMs = 10_000;
const passing = new Set([429, 502, 503, 504]);

/** Speaks HTTP with the API: limits each try, and tries again what is safe to try again. */
export class Transport {
  readonly #options: Required<TransportOptions>;

  constructor(options: TransportOptions) {
    this.#options = { timeoutMs: 30_000, retries: 3, ...options };
  }

  get connect(): TransportOptions['connect'] {
    return this.#options.connect;
  }

  /** @throws ApiProblem, Unreachable, UnexpectedAnswer, and the signal's reason */
  async request<T>(request: ApiRequest, schema: z.ZodType<T>): Promise<T> {
    const response = await this.#send(request, { limited: true });
    const text = await this.#readAll(response, request.signal);
    const parsed = schema.safeParse(text === '' ? undefined : parseJson(text));
    if (parsed.success) return parsed.data;
    throw new UnexpectedAnswer(request.path, parsed.error);
  }

  /** An answer whose body is read as it comes; the caller's signal ends it. @throws as `request` */
  open(request: ApiRequest): Promise<Response> {
    return this.#send(request, { limited: false });
  }

  async #send(request: ApiRequest, { limited }: { limited: boolean }): Promise<Response> {
    const changes = request.method !== 'GET' && request.method !== 'HEAD';
    // A stream can be read once, so that there is nothing to send again.
    const repeatable = !(request.body instanceof ReadableStream);
    const key = changes ? (request.idempotencyKey ?? crypto.randomUUID()) : undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#try(request, key, limited);
      } catch (error) {
        request.signal?.throwIfAborted();
        const again = repeatable && attempt < this.#options.retries && isPassing(error);
        if (!again) throw error;
        await wait(delayAfter(error, attempt), request.signal);
      }
    }
  }

  async #try(request: ApiRequest, key: string | undefined, limited: boolean): Promise<Response> {
    const connection = await this.#options.connect();
    const { body, type } = encodeBody(request.body);
    const limit = limited ? [AbortSignal.timeout(this.#options.timeoutMs)] : [];
    const signals = [...limit, ...(request.signal === undefined ? [] : [request.signal])];
    const headers: Record<string, string> = {
      ...connection.headers,
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(request.ifMatch === undefined ? {} : { 'if-match': request.ifMatch }),
      ...request.headers,
    };
    const init: RequestInit & { duplex?: 'half' } = {
      method: request.method,
      headers,
      credentials: 'same-origin',
      signal: AbortSignal.any(signals),
    };
    if (body !== undefined) init.body = body;
    if (body instanceof ReadableStream) init.duplex = 'half';
    let response: Response;
    try {
      response = await fetch(`${connection.url}/api/v1${request.path}`, init);
    } catch (error) {
      if (request.signal?.aborted === true) throw request.signal.reason;
      throw new Unreachable(error);
    }
    if (response.ok) return response;
    throw await readProblem(response);
  }

  async #readAll(response: Response, signal: AbortSignal | undefined): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw new Unreachable(error);
    }
  }
}

/** Waits, or throws the signal's reason at once. */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** 250 ms, then twice as long each time, up to 10 s; a little at random, so that clients do not come all at once. */
export function backoffMs(attempt: number, longestMs = longestDelayMs): number {
  return Math.min(longestMs, firstDelayMs * 2 ** attempt) * (0.75 + Math.random() / 2);
}

function isPassing(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  return error instanceof ApiProblem && (passing.has(error.status) || error.code === 'request_in_flight');
}

function delayAfter(error: unknown, attempt: number): number {
  const named = error instanceof ApiProblem ? error.retryAfterMs : null;
  return named === null ? backoffMs(attempt) : Math.min(named, 60_000);
}

function encodeBody(body: unknown): { body?: RequestInit['body']; type?: string } {
  if (body === undefined) return {};
  const raw = 'application/octet-stream';
  if (body instanceof Uint8Array) return { body: new Uint8Array(body), type: raw };
  if (body instanceof Blob || body instanceof ReadableStream) return { body, type: raw };
  return { body: JSON.stringify(body), type: 'application/json' };
}
