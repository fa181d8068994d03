import type { z } from 'zod';
import { type Endpoint, type EndpointName, type Endpoints, endpoints } from '../contract/endpoints.ts';
import { type AnyEvent, type FollowOptions, follow, type StreamItem } from './follow.ts';
import { ApiProblem, UnexpectedAnswer, Unreachable } from './problems.ts';
import { type CallOptions, Transport, type TransportOptions } from './transport.ts';

export type { AnyEvent, CallOptions, FollowOptions, StreamItem, TransportOptions };
export { ApiProblem, UnexpectedAnswer, Unreachable };

type ParamNames<Path> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never;
type Bytes = Uint8Array | Blob | ReadableStream<Uint8Array>;
type BodyOf<E> = E extends { sends: 'bytes' }
  ? { body: Bytes }
  : E extends { body: infer B extends z.ZodType }
    ? undefined extends z.input<B>
      ? { body?: z.input<B> }
      : { body: z.input<B> }
    : object;
type QueryOf<E> = E extends { query: infer Q extends z.ZodType }
  ? object extends z.input<Q>
    ? { query?: z.input<Q> }
    : { query: z.input<Q> }
  : object;
type InputOf<E> = E extends { path: infer Path }
  ? { [Name in ParamNames<Path>]: string } & QueryOf<E> & BodyOf<E>
  : never;
type AnswerOf<E> = E extends { answer: infer A }
  ? A extends z.ZodType
    ? z.output<A>
    : A extends 'content'
      ? Response
      : undefined
  : never;
type MethodOf<E> =
  object extends InputOf<E>
    ? (input?: InputOf<E>, options?: CallOptions) => Promise<AnswerOf<E>>
    : (input: InputOf<E>, options?: CallOptions) => Promise<AnswerOf<E>>;

/** One method for each operation of the API, named as in its OpenAPI document. */
export type Operations = { readonly [Name in EndpointName]: MethodOf<Endpoints[Name]> };

export interface MissionControl extends Operations {
  /**
   * The log as it goes on, each event once and in order, across any number of broken connections.
   * @throws ApiProblem where the server refuses the key or the filter
   */
  events(options?: FollowOptions): AsyncGenerator<AnyEvent>;
  /** The same with live text, and with what happens to the connection. */
  follow(options?: FollowOptions): AsyncGenerator<StreamItem>;
}

export interface ClientOptions extends Omit<TransportOptions, 'connect'> {
  /** Such as `http://127.0.0.1:4700`; in a page of the server itself it may be left out. */
  url?: string;
  /** Of `mission key create`; a page of the server itself sends its session instead. */
  key?: string;
}

/**
 * A client of a Mission Control server, in a browser or in Node. What fails in passing is tried again, under one
 * Idempotency-Key, so that a request acts once; what the server refuses is an `ApiProblem` with what to do.
 */
export function createClient({ url = '', key, ...options }: ClientOptions = {}): MissionControl {
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const connection = { url: url.replace(/\/+$/, ''), headers };
  return clientOver(new Transport({ ...options, connect: () => connection }));
}

export function clientOver(transport: Transport): MissionControl {
  const methods = Object.fromEntries(
    Object.entries(endpoints).map(([name, endpoint]) => [
      name,
      (input?: Input, options?: CallOptions) =>
        call(transport, { name, ...endpoint }, input ?? {}, options ?? {}),
    ]),
  );
  if (!areOperations(methods)) throw new Error('an operation of the contract has no method');
  return {
    ...methods,
    follow: (options) => follow(transport, options),
    async *events(options) {
      for await (const item of follow(transport, options)) if (item.kind === 'event') yield item.event;
    },
  };
}

/** One method was made of each entry of the table that the type is made of. */
function areOperations(methods: object): methods is Operations {
  return Object.keys(endpoints).every((name) => name in methods);
}

type Input = Readonly<Record<string, unknown>>;

async function call(
  transport: Transport,
  endpoint: Endpoint,
  input: Input,
  options: CallOptions,
): Promise<unknown> {
  const { method, answer } = endpoint;
  const request = { ...options, method, path: pathOf(endpoint, input), body: input['body'] };
  if (answer === 'content') return transport.open(request);
  if (answer !== 'nothing') return transport.request(request, answer);
  const response = await transport.open(request);
  await response.body?.cancel();
  return undefined;
}

function pathOf(endpoint: Endpoint, input: Input): string {
  const path = endpoint.path.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(`${input[name]}`),
  );
  const { query } = input;
  if (typeof query !== 'object' || query === null) return path;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) search.set(name, Array.isArray(value) ? value.join(',') : `${value}`);
  return search.size === 0 ? path : `${path}?${search}`;
}
