import { z } from 'zod';
import { apiVersion, type Endpoint, findEndpoint } from '../../../contract/endpoints.ts';
import { problem } from '../../../contract/system.ts';
import { errorStatus } from '../../errors.ts';
import { type JsonSchema, openSchemaWriter, type SchemaWriter } from './components.ts';
import { exampleOf, propertiesOf } from './examples.ts';
import type { ServedRoute } from './routes.ts';

export interface Operation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters: Parameter[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, JsonSchema>;
}
export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description?: string;
  schema: JsonSchema;
}
type Content = Record<string, { schema: JsonSchema; example?: unknown }>;

export interface OpenApiDocument {
  openapi: '3.1.0';
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    securitySchemes: Record<string, JsonSchema>;
    schemas: Record<string, JsonSchema>;
    responses: Record<string, JsonSchema>;
    headers: Record<string, JsonSchema>;
  };
}

const description = [
  'Drive Mission Control, follow it, and bring foreign agents that claim work under the same leases as ours.',
  'Send a key as `Authorization: Bearer KEY`. Every failure is a problem document (RFC 9457) whose `detail` says what to do.',
  'Every request that changes something takes an `Idempotency-Key`: within 24 hours the same request under the same key is answered alike and acts once.',
  'Answers carry an `ETag`; where an operation takes `If-Match`, a change of somebody else in between is answered 412.',
].join('\n\n');

const problemTitles: Record<number, string> = {
  400: 'The request does not fit the schema, or cannot be read',
  401: 'No key or session, or not a valid one',
  403: 'Not allowed with this key, or from this host',
  404: 'Nothing is there, or nothing that you may see',
  405: 'The address does not answer this method',
  409: 'The state of the thing does not allow it',
  412: 'It has changed since it was read',
  413: 'The body is too large',
  415: 'The body is of another media type',
  416: 'The range lies outside the content',
  422: 'Understood, and impossible as it stands',
  429: 'Too many requests; Retry-After says when',
  500: 'A fault of the server; its log says which',
  503: 'The server cannot answer now; Retry-After says when',
};

/** The OpenAPI 3.1 document of what is served, from the very schemas that validate. */
export function makeDocument(routes: readonly ServedRoute[]): OpenApiDocument {
  const writer = openSchemaWriter();
  const problemSchema = writer.write(problem, 'output');
  const paths: OpenApiDocument['paths'] = {};
  for (const route of [...routes].sort((a, b) => (a.url < b.url ? -1 : a.url > b.url ? 1 : 0))) {
    const path = templateOf(route.url);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describe(route, writer) };
  }
  const document: OpenApiDocument = {
    openapi: '3.1.0',
    info: { title: 'Mission Control', version: apiVersion, description },
    servers: [{ url: '/' }],
    tags: tagsOf(paths),
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key of `mission key create`.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'mission_session',
          description: 'The page’s session; what changes something needs `x-mission-csrf` as well.',
        },
      },
      schemas: {},
      responses: Object.fromEntries(
        Object.entries(problemTitles).map(([status, title]) => [
          `Problem${status}`,
          problemResponse(Number(status), title, problemSchema),
        ]),
      ),
      headers: {
        ETag: header('The version of what was answered; for If-Match and If-None-Match.'),
        RetryAfter: header('Seconds to wait before the next try.', { type: 'integer' }),
        IdempotentReplayed: header('`true` where the answer is that of an earlier, equal request.'),
      },
    },
  };
  document.components.schemas = writer.components();
  addExamples(document);
  return document;
}

/** `/api/v1/tasks/:id` as OpenAPI writes it. */
export function templateOf(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}');
}

function describe(route: ServedRoute, writer: SchemaWriter): Operation {
  const endpoint = findEndpoint(route.method, route.url.replace(/^\/api\/v1/, ''));
  const open = route.access?.permission === 'open' || route.access === undefined;
  const needs = open ? 'Needs no key.' : `Needs \`${route.access?.permission}\`.`;
  return {
    operationId: endpoint?.name ?? plainName(route),
    summary: endpoint?.summary ?? plainName(route),
    description: [needs, endpoint?.description].filter((text) => text !== undefined).join(' '),
    tags: [endpoint?.tag ?? tagOf(route.url)],
    security: open ? [] : [{ key: [] }, { session: [] }],
    parameters: [...parametersOf(route, writer), ...headersOf(route, open)],
    ...bodyOf(route, writer),
    responses: responsesOf(route, writer, endpoint),
  };
}

function parametersOf(route: ServedRoute, writer: SchemaWriter): Parameter[] {
  const places = [
    ['path', route.schema.params],
    ['query', route.schema.querystring],
  ] as const;
  const declared = places.flatMap(([place, schema]) => {
    if (!(schema instanceof z.ZodType)) return [];
    const written = writer.write(schema, 'input');
    const required = new Set(Array.isArray(written['required']) ? written['required'] : []);
    return Object.entries(propertiesOf(written)).map(
      ([name, property]): Parameter => ({
        name,
        in: place,
        required: place === 'path' || required.has(name),
        schema: property,
      }),
    );
  });
  const named = new Set(declared.map(({ name }) => name));
  const bare = [...route.url.matchAll(/:(\w+)/g)].flatMap(([, name = '']): Parameter[] =>
    named.has(name) ? [] : [{ name, in: 'path', required: true, schema: { type: 'string' } }],
  );
  return [...bare, ...declared];
}

function headersOf(route: ServedRoute, open: boolean): Parameter[] {
  const text = { type: 'string' };
  const optional = (name: string, about: string): Parameter => ({
    name,
    in: 'header',
    required: false,
    description: about,
    schema: text,
  });
  if (route.method === 'GET')
    return [optional('If-None-Match', 'The ETag that is known; 304 where it still holds.')];
  return [
    ...(open
      ? []
      : [optional('Idempotency-Key', 'Made anew for each request, the same for each repeat of it.')]),
    ...(route.ifMatch ? [optional('If-Match', 'The ETag that was read; 412 where it no longer holds.')] : []),
  ];
}

function bodyOf(route: ServedRoute, writer: SchemaWriter): Pick<Operation, 'requestBody'> {
  if (route.consumes !== undefined) {
    return { requestBody: { required: true, content: { [route.consumes]: { schema: {} } } } };
  }
  const { body } = route.schema;
  if (!(body instanceof z.ZodType)) return {};
  const schema = writer.write(body, 'input');
  const required = !body.safeParse(undefined).success;
  return { requestBody: { required, content: { 'application/json': { schema } } } };
}

function responsesOf(
  route: ServedRoute,
  writer: SchemaWriter,
  endpoint: Endpoint | undefined,
): Operation['responses'] {
  const responses: Operation['responses'] = {};
  for (const [status, schema] of Object.entries(declaredResponses(route.schema.response))) {
    responses[status] = responseOf(status, schema, route, writer);
  }
  for (const [status, media] of Object.entries(route.produces)) {
    responses[status] = {
      description: endpoint?.summary ?? 'The content',
      content: { [media]: { schema: {} } },
    };
  }
  if (route.method === 'GET' && '200' in responses)
    responses['304'] = { description: 'It is as If-None-Match says' };
  for (const status of problemStatuses(route))
    responses[status] ??= { $ref: `#/components/responses/Problem${status}` };
  return responses;
}

function declaredResponses(response: unknown): Record<string, unknown> {
  return typeof response === 'object' && response !== null ? { ...response } : {};
}

function responseOf(status: string, schema: unknown, route: ServedRoute, writer: SchemaWriter): JsonSchema {
  const headers = {
    ETag: { $ref: '#/components/headers/ETag' },
    ...(route.method === 'GET'
      ? {}
      : { 'Idempotent-Replayed': { $ref: '#/components/headers/IdempotentReplayed' } }),
  };
  const empty = status === '204' || !(schema instanceof z.ZodType);
  if (empty) return { description: 'Done; the answer is empty' };
  return {
    description: status === '202' ? 'Accepted' : status === '201' ? 'Made' : 'The answer',
    headers,
    content: { 'application/json': { schema: writer.write(schema, 'output') } },
  };
}

function problemStatuses(route: ServedRoute): number[] {
  const changes = route.method !== 'GET';
  return [
    ...[400, 401, 403, 404, 422, 429, 500, 503],
    ...(changes ? [409, 413, 415] : []),
    ...(route.ifMatch ? [412] : []),
    ...(route.url.endsWith('/content') ? [416] : []),
  ];
}

function problemResponse(status: number, title: string, schema: JsonSchema): JsonSchema {
  const code = Object.entries(errorStatus).find(([, each]) => each === status)?.[0] ?? 'too_many_requests';
  const example = {
    type: `https://mission-control.dev/problems/${code}`,
    title: code.replaceAll('_', ' '),
    status,
    detail: title,
    code,
  };
  const waits = status === 409 || status === 429 || status === 503;
  return {
    description: title,
    ...(waits ? { headers: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } } : {}),
    content: { 'application/problem+json': { schema, example } },
  };
}

function header(about: string, schema: JsonSchema = { type: 'string' }): JsonSchema {
  return { description: about, schema };
}

/** `createProject` for POST /projects, where the contract has not named it. */
function plainName(route: ServedRoute): string {
  const words = route.url.replace(/^\/api\/v1\//, '').split(/[/-]/);
  const verb = route.method.toLowerCase();
  return words
    .map((word) =>
      word.replace(':', 'by-').replace(/\W(\w)/g, (_all, letter: string) => letter.toUpperCase()),
    )
    .reduce((name, word) => name + word.charAt(0).toUpperCase() + word.slice(1), verb);
}

function tagOf(url: string): string {
  return url.replace(/^\/api\/v1\//, '').split('/')[0] ?? 'system';
}

function tagsOf(paths: OpenApiDocument['paths']): { name: string }[] {
  const names = Object.values(paths).flatMap((methods) => Object.values(methods).flatMap(({ tags }) => tags));
  return [...new Set(names)].sort().map((name) => ({ name }));
}

/** Only where a body is sent: an answer's example is its schema's. */
function addExamples(document: OpenApiDocument): void {
  const find = (name: string) => document.components.schemas[name] ?? {};
  for (const operation of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
    for (const [media, content] of Object.entries(operation.requestBody?.content ?? {}))
      if (media === 'application/json') content.example = exampleOf(content.schema, find);
  }
}
