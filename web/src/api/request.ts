import { z } from 'zod';
import { problem } from '../../../contract/system.ts';

/** What the server answered instead of what was asked for; the message says what to do. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = code;
  }
}

/** No answer came: the server or the way to it is gone. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super('The server does not answer. Nothing was changed, as far as this page knows.', { cause });
    this.name = 'Unreachable';
  }
}

type Method = 'POST' | 'PUT' | 'PATCH' | 'DELETE';
const limitMs = 30_000;

/** Speaks to the API of the server that this page came from; every answer is parsed. */
export class ApiClient {
  /** From the session; every request that changes something carries it. */
  csrf: string | null = null;

  get<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#fetch(path, schema, { method: 'GET' }, signal);
  }

  send<T>(method: Method, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.csrf !== null) headers['x-mission-csrf'] = this.csrf;
    if (body === undefined) return this.#fetch(path, schema, { method, headers });
    headers['content-type'] = 'application/json';
    return this.#fetch(path, schema, { method, headers, body: JSON.stringify(body) });
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.send('POST', path, body, schema);
  }

  async #fetch<T>(path: string, schema: z.ZodType<T>, init: RequestInit, signal?: AbortSignal): Promise<T> {
    const limit = AbortSignal.timeout(limitMs);
    const response = await this.#reach(path, {
      ...init,
      credentials: 'same-origin',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    const text = await response.text();
    if (!response.ok) throw readProblem(response.status, text);
    const parsed = schema.safeParse(text === '' ? undefined : parseJson(text));
    if (parsed.success) return parsed.data;
    throw new ApiProblem(
      502,
      'unexpected_answer',
      `The server answered ${path} in a form this page does not know; reload it to get the page of the server's version. ${z.prettifyError(parsed.error)}`,
    );
  }

  async #reach(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(`/api/v1${path}`, init);
    } catch (error) {
      if (init.signal?.aborted === true && !isTimeout(error)) throw error;
      throw new Unreachable(error);
    }
  }
}

export function isUnauthenticated(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function readProblem(status: number, text: string): ApiProblem {
  const parsed = problem.safeParse(parseJson(text));
  return parsed.success
    ? new ApiProblem(status, parsed.data.code, parsed.data.detail)
    : new ApiProblem(status, 'unknown', `The server answered with status ${status}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
