import { currentTrace, nextPlace, type TraceContext, writeTraceparent } from '../trace-context.ts';
import { within } from './spans.ts';
import type { Tracing } from './tracing.ts';

/**
 * The same fetch, whose requests tell the receiver by `traceparent` where in a trace they stand; each begins one of its
 * own outside of every trace. Addresses are no part of a span, since they may hold a token; hosts are.
 * @param tracing null where nobody takes spans
 */
export function traceFetch(tracing: Tracing | null, send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const above = currentTrace() ?? null;
    if (tracing === null) return send(input, withPlace(init, nextPlace(above)));
    const { hostname, port, protocol } = new URL(String(input));
    const method = init?.method ?? 'GET';
    const span = tracing.start({
      name: method,
      kind: 'client',
      parent: above,
      attributes: {
        'http.request.method': method,
        'server.address': hostname,
        'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
      },
    });
    return within(span, async () => {
      const response = await send(input, withPlace(init, span.context));
      span.set({ 'http.response.status_code': response.status });
      if (response.status >= 400) span.fail(`${response.status}`);
      return response;
    });
  };
}

function withPlace(init: RequestInit | undefined, place: TraceContext): RequestInit {
  const headers = new Headers(init?.headers);
  headers.set('traceparent', writeTraceparent(place));
  return { ...init, headers };
}
