import { z } from 'zod';
import { ApiProblem, UnexpectedAnswer, Unreachable } from '../client/problems.ts';
import { Transport } from '../client/transport.ts';
import { notRunning, readConnection } from './connection.ts';
import { CommandError, exitStatus } from './exit-status.ts';
import { printable } from './printable.ts';

const requestLimitMs = 30_000;

/** The HTTP API, as the commands use it. */
export class Client {
  readonly home: string;
  readonly transport: Transport;
  #url = '';

  constructor(home: string) {
    this.home = home;
    this.transport = new Transport({
      timeoutMs: requestLimitMs,
      retries: 1,
      // Read each time: a restarted server may have another port and key.
      connect: async () => {
        const connection = await readConnection(home);
        if (connection === null) throw notRunning(home);
        this.#url = connection.url;
        return { url: connection.url, headers: { authorization: `Bearer ${connection.key}` } };
      },
    });
  }

  get<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('GET', path, undefined, schema, signal);
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('POST', path, body, schema, signal);
  }

  put<T>(path: string, body: unknown, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('PUT', path, body, schema, signal);
  }

  patch<T>(path: string, body: unknown, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#request('PATCH', path, body, schema, signal);
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
    try {
      return await this.transport.open({ method: 'GET', path, headers, signal });
    } catch (error) {
      throw this.explain(error, `GET ${path}`);
    }
  }

  async #request<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    try {
      return await this.transport.request({ method, path, body, signal }, schema);
    } catch (error) {
      throw this.explain(error, `${method} ${path}`);
    }
  }

  /** What went wrong, as a command tells it. */
  explain(error: unknown, what: string): unknown {
    if (error instanceof ApiProblem) return refusal(error);
    if (error instanceof Unreachable) return unreachable(error, this.#url);
    if (!(error instanceof UnexpectedAnswer)) return error;
    const reason = error.cause instanceof z.ZodError ? z.prettifyError(error.cause) : error.message;
    return new CommandError(
      exitStatus.failed,
      `The server's answer to ${what} is not what this version of mission expects: ${reason}`,
    );
  }
}

function unreachable(error: Unreachable, url: string): CommandError {
  const reason = error.timedOut ? `did not answer within ${requestLimitMs / 1000} s` : 'cannot be reached';
  return new CommandError(
    exitStatus.unreachable,
    `Mission Control at ${url} ${reason}. If it has ended, start it with: mission up`,
    { cause: error },
  );
}

function refusal({ status, code, message, issues }: ApiProblem): CommandError {
  const exit = status >= 500 ? exitStatus.failed : exitStatus.refused;
  if (status === 401) {
    const reason =
      'The server does not know this key: cli.json is from another server. Restart it with: mission up';
    return new CommandError(exit, reason, { code: 'unauthenticated' });
  }
  const lines = [message, ...issues.map((issue) => `  ${issue.path}: ${issue.message}`)];
  return new CommandError(exit, printable(lines.join('\n')), { code });
}
