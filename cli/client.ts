import { z } from 'zod';
import { type ConnectionFile, problem } from '../contract/system.ts';
import { notRunning, readConnection } from './connection.ts';
import { CommandError, exitStatus } from './exit-status.ts';
import { printable } from './printable.ts';

const requestLimitMs = 30_000;

/** The HTTP API, as the commands use it. */
export class Client {
  readonly home: string;

  constructor(home: string) {
    this.home = home;
  }

  get<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('GET', path, undefined, schema, signal);
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('POST', path, body, schema, signal);
  }

  /** Sends a file as it is. */
  upload<T>(path: string, bytes: Uint8Array, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('POST', path, bytes, schema, signal);
  }

  delete<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('DELETE', path, undefined, schema, signal);
  }

  /** All of a list. */
  async list<T>(path: string, item: z.ZodType<T>, signal?: AbortSignal): Promise<T[]> {
    const { items } = await this.get(path, z.object({ items: z.array(item) }), signal);
    return items;
  }

  /** An open answer whose body is read as it comes; the caller's signal ends it. */
  async open(path: string, signal: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
    const response = await this.#send('GET', path, undefined, signal, headers);
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async #request<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const limit = AbortSignal.timeout(requestLimitMs);
    const response = await this.#send(method, path, body, signal ? AbortSignal.any([signal, limit]) : limit);
    if (!response.ok) throw await refusal(response);
    const parsed = schema.safeParse(await response.json());
    if (parsed.success) return parsed.data;
    throw new CommandError(
      exitStatus.failed,
      `The server's answer to ${method} ${path} is not what this version of mission expects: ${z.prettifyError(parsed.error)}`,
    );
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    // Read each time: a restarted server may have another port and key.
    const connection = await readConnection(this.home);
    if (connection === null) throw notRunning(this.home);
    const request: RequestInit = {
      method,
      signal,
      headers: { authorization: `Bearer ${connection.key}`, ...headers },
    };
    if (body instanceof Uint8Array) {
      request.headers = { ...request.headers, 'content-type': 'application/octet-stream' };
      request.body = new Uint8Array(body);
    } else if (body !== undefined) {
      request.headers = { ...request.headers, 'content-type': 'application/json' };
      request.body = JSON.stringify(body);
    }
    try {
      return await fetch(new URL(`/api/v1${path}`, connection.url), request);
    } catch (error) {
      throw unreachable(error, connection, signal);
    }
  }
}

function unreachable(error: unknown, connection: ConnectionFile, signal: AbortSignal): unknown {
  if (signal.aborted && !isTimeout(signal.reason)) return signal.reason;
  const reason = isTimeout(error) ? `did not answer within ${requestLimitMs / 1000} s` : 'cannot be reached';
  return new CommandError(
    exitStatus.unreachable,
    `Mission Control at ${connection.url} ${reason}. If it has ended, start it with: mission up`,
    { cause: error },
  );
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

async function refusal(response: Response): Promise<CommandError> {
  const text = await response.text();
  const exit = response.status >= 500 ? exitStatus.failed : exitStatus.refused;
  if (response.status === 401) {
    const message =
      'The server does not know this key: cli.json is from another server. Restart it with: mission up';
    return new CommandError(exit, message, { code: 'unauthenticated' });
  }
  const parsed = problem.safeParse(jsonOf(text));
  if (!parsed.success) {
    return new CommandError(exit, `The server answered ${response.status}: ${printable(text).slice(0, 500)}`);
  }
  const { detail, code, issues = [] } = parsed.data;
  const lines = [detail, ...issues.map(({ path, message }) => `  ${path}: ${message}`)];
  return new CommandError(exit, printable(lines.join('\n')), { code });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
