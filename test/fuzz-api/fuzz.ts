import fc from 'fast-check';
import type { OpenApiDocument, Operation, Parameter } from '../../server/http/openapi/document.ts';
import { hostileText, valueFor } from './values.ts';

export interface Target {
  url: string;
  key: string;
  document: OpenApiDocument;
  /** Identifiers and names of what there is. */
  known: readonly string[];
}

interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

export interface FuzzReport {
  requests: number;
  byStatus: Record<string, number>;
  /** How many operations were answered with success, of how many. */
  succeeded: number;
  operations: number;
  /** What was answered with 5xx, or not at all. */
  failures: string[];
}

/** What opens an endless answer, ends the one who asks, or speaks to hosts that are not there. */
const leftOut = new Set([
  'streamEvents',
  'revokeKey',
  'endSession',
  'testModel',
  'testNotification',
  'testWebhook',
]);
/** What costs seconds by nature is asked a few times, not in turn. */
const heavy = new Set([
  'createSampleTask',
  'diagnose',
  'getBackup',
  'verifyLog',
  'setPassword',
  'beginSession',
]);
const answerLimitMs = 30_000;
const atOnce = 6;

/** Requests made from the document, partly as it says and partly hostile; the same seed makes the same ones. */
export async function fuzz(target: Target, options: { requests: number; seed: number }): Promise<FuzzReport> {
  const queue = makeRequests(target, options);
  const report: FuzzReport = { requests: 0, byStatus: {}, succeeded: 0, operations: 0, failures: [] };
  const asked = new Set<string>();
  const succeeded = new Set<string>();
  const work = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const [name, request] = next;
      const { status, text } = await send(target, request);
      report.requests += 1;
      report.byStatus[status] = (report.byStatus[status] ?? 0) + 1;
      asked.add(name);
      if (status >= 200 && status < 300) succeeded.add(name);
      if (isFault(status, text)) report.failures.push(describe(request, status, text));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { ...report, succeeded: succeeded.size, operations: asked.size };
}

/** That nobody works is true of a house without workers, and what /ready is there to say. */
function isFault(status: number, text: string): boolean {
  return status === 0 || (status >= 500 && !(status === 503 && text.includes('"code":"not_ready"')));
}

function makeRequests(
  target: Target,
  { requests, seed }: { requests: number; seed: number },
): [string, FuzzRequest][] {
  const all = Object.entries(target.document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const wanted = all.filter(({ operation }) => !leftOut.has(operation.operationId));
  const light = wanted.filter(({ operation }) => !heavy.has(operation.operationId)).length;
  const each = Math.ceil(requests / light);
  return wanted
    .flatMap(({ path, method, operation }) => {
      const count = heavy.has(operation.operationId) ? 3 : each;
      const made = fc.sample(requestFor(target, path, method, operation), { numRuns: count, seed });
      return made.map((request, index): [number, [string, FuzzRequest]] => [
        index,
        [operation.operationId, request],
      ]);
    })
    .sort(([a], [b]) => b - a)
    .map(([, request]) => request)
    .slice(-requests);
}

function requestFor(
  target: Target,
  path: string,
  method: string,
  operation: Operation,
): fc.Arbitrary<FuzzRequest> {
  const find = (name: string) => target.document.components.schemas[name] ?? {};
  const named = operation.parameters.filter((parameter) => parameter.in === 'path');
  const ids = fc.tuple(...named.map((parameter) => pathValue(target, parameter, find)));
  const queries = operation.parameters.filter((parameter) => parameter.in === 'query');
  const query = fc.record(
    Object.fromEntries(queries.map(({ name, schema }) => [name, valueFor(schema, find)])),
    { requiredKeys: queries.filter(({ required }) => required).map(({ name }) => name) },
  );
  const oddQuery = fc
    .tuple(query, hostileText, hostileText)
    .map(([value, name, text]) => ({ ...value, [name]: text }));
  return fc
    .record({
      ids,
      query: fc.oneof({ weight: 8, arbitrary: query }, { weight: 1, arbitrary: oddQuery }),
      body: bodyFor(operation, find),
      headers: headersFor(method),
    })
    .map(({ ids: values, query: asked, body, headers }) => {
      const search = new URLSearchParams(
        Object.entries(asked).map(([name, value]): [string, string] => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      );
      const filled = named.reduce(
        (filledPath, { name }, index) =>
          filledPath.replace(`{${name}}`, () => encodePart(values[index] ?? '')),
        path,
      );
      return {
        method,
        path: search.size === 0 ? filled : `${filled}?${search}`,
        headers: { ...(body === undefined ? {} : { 'content-type': body.media }), ...headers },
        body: body?.text,
      };
    });
}

function pathValue(
  target: Target,
  { schema }: Parameter,
  find: (name: string) => Record<string, unknown>,
): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...target.known) },
    {
      weight: 2,
      arbitrary: valueFor(schema, find).map(
        (value) => `${typeof value === 'string' ? value : JSON.stringify(value)}`,
      ),
    },
    { weight: 1, arbitrary: hostileText },
  );
}

function bodyFor(
  operation: Operation,
  find: (name: string) => Record<string, unknown>,
): fc.Arbitrary<{ media: string; text: string } | undefined> {
  const content = operation.requestBody?.content;
  const [media, { schema }] = Object.entries(content ?? {})[0] ?? ['application/json', { schema: {} }];
  const fits =
    content === undefined
      ? fc.constant(undefined)
      : valueFor(schema, find).map((value) => ({ media, text: JSON.stringify(value) ?? '' }));
  const broken = fc
    .constantFrom(
      '',
      '{',
      '{"a":1}}',
      'nul',
      '"\\ud800"',
      '{"__proto__":{"admin":true}}',
      '{"constructor":{"prototype":{}}}',
      `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
      `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`,
      `"${'x'.repeat(1_200_000)}"`,
      '{"instructions":1e999}',
    )
    .map((text) => ({ media: 'application/json', text }));
  const otherMedia = fc
    .constantFrom(
      'text/plain',
      'application/xml',
      'multipart/form-data; boundary=x',
      'application/json; charset=utf-16',
      'x',
    )
    .map((other) => ({ media: other, text: '{}' }));
  return fc.oneof(
    { weight: 12, arbitrary: fits },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: otherMedia },
  );
}

function headersFor(method: string): fc.Arbitrary<Record<string, string>> {
  const plain = fc.constant<Record<string, string>>({});
  const odd = fc.constantFrom<Record<string, string>>(
    { 'idempotency-key': 'fuzz' },
    { 'idempotency-key': 'x'.repeat(300) },
    { 'if-match': '"1"' },
    { 'if-match': '"999999999999999999999"' },
    { 'if-none-match': '*' },
    { range: 'bytes=99999999999999999999-' },
    { 'last-event-id': '-1' },
    { 'content-encoding': 'gzip' },
    { accept: 'image/png' },
    { cookie: 'mission_session=x' },
  );
  const keyed = fc
    .uuid()
    .map((key): Record<string, string> => (method === 'GET' ? {} : { 'idempotency-key': key }));
  return fc.oneof(
    { weight: 4, arbitrary: plain },
    { weight: 2, arbitrary: keyed },
    { weight: 1, arbitrary: odd },
  );
}

/** Halves of surrogate pairs cannot be written in an address. */
function encodePart(value: string): string {
  const part = encodeURIComponent(value.toWellFormed());
  return part === '.' || part === '..' || part === '' ? '%2e' : part;
}

async function send(target: Target, request: FuzzRequest): Promise<{ status: number; text: string }> {
  const { method, path, headers, body } = request;
  try {
    const response = await fetch(`${target.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${target.key}`, ...headers },
      signal: AbortSignal.timeout(answerLimitMs),
      ...(body === undefined || method === 'GET' ? {} : { body }),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    return {
      status: 0,
      text: error instanceof Error ? `${error.message} ${String(error.cause)}` : String(error),
    };
  }
}

function describe({ method, path, headers, body }: FuzzRequest, status: number, text: string): string {
  return [
    `${status}: ${method} ${path.slice(0, 300)}`,
    JSON.stringify(headers),
    body?.slice(0, 600),
    text.slice(0, 600),
  ].join('\n  ');
}
