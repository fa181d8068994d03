import type { z } from 'zod';
import { ApiProblem, UnexpectedAnswer } from '../../../client/problems.ts';
import { type ApiRequest, Transport } from '../../../client/transport.ts';

export { ApiProblem };

type Method = 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Speaks to the API of the server that this page came from; every answer is parsed. */
export class ApiClient {
  /** From the session; every request that changes something carries it. */
  csrf: string | null = null;
  readonly transport: Transport = new Transport({
    retries: 1,
    connect: () => ({ url: '', headers: this.csrf === null ? {} : { 'x-mission-csrf': this.csrf } }),
  });

  get<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return this.#ask({ method: 'GET', path, signal }, schema);
  }

  send<T>(method: Method, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#ask({ method, path, body }, schema);
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.send('POST', path, body, schema);
  }

  async #ask<T>(request: ApiRequest, schema: z.ZodType<T>): Promise<T> {
    try {
      return await this.transport.request(request, schema);
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer)) throw error;
      const detail = `The server answered ${error.path} in a form this page does not know; reload it to get the page of the server's version. ${error.message}`;
      throw new ApiProblem({ status: 502, code: 'unexpected_answer', detail });
    }
  }
}

export function isUnauthenticated(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
