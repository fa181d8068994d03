import { currentTrace } from '../trace-context.ts';

export interface FaultReports extends AsyncDisposable {
  /**
   * Sends a fault of ours away, while work goes on; what was said or stored is no part of it.
   * @param where told as tags, such as the request's id
   */
  report(fault: Error, where: Record<string, string>): void;
}

const sendLimitMs = 5_000;
const longestMessage = 300;

/** Sentry by its DSN. Its core alone: nothing is patched, and only what is handed over is sent. */
export async function openFaultReports(
  settings: { dsn: string; environment: string },
  options: { version: string; redact: (text: string) => string },
): Promise<FaultReports> {
  const [sentry, { nodeStackLineParser, ServerRuntimeClient }] = await Promise.all([
    import('@sentry/core'),
    import('@sentry/core/server'),
  ]);
  const client = new ServerRuntimeClient({
    dsn: settings.dsn,
    environment: settings.environment,
    release: `mission-control@${options.version}`,
    platform: 'node',
    runtime: { name: 'node', version: process.version },
    integrations: [],
    stackParser: sentry.createStackParser(nodeStackLineParser()),
    sendClientReports: false,
    transport: (transport) =>
      sentry.createTransport(transport, async ({ body }) => {
        const headers = { 'content-type': 'application/x-sentry-envelope', ...transport.headers };
        const sent = typeof body === 'string' ? body : Uint8Array.from(body);
        const signal = AbortSignal.timeout(sendLimitMs);
        const response = await fetch(transport.url, { method: 'POST', headers, body: sent, signal });
        await response.body?.cancel();
        return {
          statusCode: response.status,
          headers: {
            'x-sentry-rate-limits': response.headers.get('x-sentry-rate-limits'),
            'retry-after': response.headers.get('retry-after'),
          },
        };
      }),
    beforeSend(event) {
      const values = event.exception?.values?.map(({ type = 'Error', value = '', stacktrace }) => ({
        type,
        value: strip(value, options.redact),
        ...(stacktrace?.frames && {
          stacktrace: {
            frames: stacktrace.frames.map(({ filename, function: name, lineno, colno, in_app }) => ({
              ...(filename !== undefined && { filename }),
              ...(name !== undefined && { function: name }),
              ...(lineno !== undefined && { lineno }),
              ...(colno !== undefined && { colno }),
              ...(in_app !== undefined && { in_app }),
            })),
          },
        }),
      }));
      return { ...event, ...(values && { exception: { values } }) };
    },
  });
  client.init();
  return {
    report(fault, where) {
      const scope = new sentry.Scope();
      const trace = currentTrace();
      scope.setTags({ ...where, ...(trace && { trace_id: trace.traceId }) });
      client.captureException(fault, undefined, scope);
    },
    async [Symbol.asyncDispose]() {
      await client.close(sendLimitMs);
    },
  };
}

/** A message may quote what it is about: the first line of it, without what stands in quotation marks. */
export function strip(message: string, redact: (text: string) => string): string {
  const [line = ''] = redact(message).split('\n');
  return line.replace(/"[^"]*"?|'[^']*'?|`[^`]*`?/g, '"…"').slice(0, longestMessage);
}
