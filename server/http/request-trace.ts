import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TraceSpan, Tracing } from '../telemetry/tracing.ts';
import {
  inTrace,
  nextPlace,
  readTraceparent,
  type TraceContext,
  writeTraceparent,
} from '../trace-context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    trace: TraceContext | null;
    span: TraceSpan | null;
  }
}

export const newRequestId = (): string => randomUUID();

/**
 * Each request stands in a trace, its caller's where it names one by `traceparent`: the answer, the log and whatever
 * the request asks for are told the place. Spans are made of it where somebody takes them. To be registered first.
 */
export function traceRequests(server: FastifyInstance, tracing: Tracing | null): void {
  server.decorateRequest('trace', null);
  server.decorateRequest('span', null);
  server.addHook('onRequest', (request, reply, done) => {
    const caller = readTraceparent(request.headers['traceparent']);
    const span = tracing === null || isDull(request) ? null : startSpan(tracing, request, caller);
    const trace = span?.context ?? nextPlace(caller);
    request.span = span;
    request.trace = trace;
    void reply.headers({ 'x-request-id': request.id, traceparent: writeTraceparent(trace) });
    inTrace(trace, done);
  });
  // A body that came in pieces has left the place behind.
  server.addHook('preHandler', (request, _reply, done) => {
    if (request.trace === null) done();
    else inTrace(request.trace, done);
  });
  if (tracing === null) return;
  server.addHook('onResponse', async ({ span, actor }, reply) => {
    if (span === null) return;
    span.set({
      'http.response.status_code': reply.statusCode,
      ...(actor && { 'mission.actor': actor.name, 'mission.actor.role': actor.role }),
    });
    if (reply.statusCode >= 500) span.fail(`${reply.statusCode}`);
    span.end();
  });
}

function startSpan(tracing: Tracing, request: FastifyRequest, caller: TraceContext | null): TraceSpan {
  const { method } = request;
  const route = request.routeOptions.url;
  return tracing.start({
    name: route === undefined ? method : `${method} ${route}`,
    kind: 'server',
    parent: caller,
    attributes: {
      'http.request.method': method,
      ...(route !== undefined && { 'http.route': route }),
      // Without its query, in which a stranger may have put anything.
      'url.path': request.url.split('?')[0] ?? '',
      'url.scheme': request.protocol,
      'mission.request.id': request.id,
    },
  });
}

const probes: readonly (string | undefined)[] = ['/health', '/ready', '/version', '/metrics'].flatMap(
  (path) => [path, `/api/v1${path}`],
);

/** What is asked for every few seconds, what is no part of the API, and what stays open for hours. */
function isDull(request: FastifyRequest): boolean {
  const { url, config } = request.routeOptions;
  return !request.url.startsWith('/api/') || probes.includes(url) || config.live === true;
}
