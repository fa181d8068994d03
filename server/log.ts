import { type Logger, pino } from 'pino';
import { currentTrace } from './trace-context.ts';

export type { Logger };

/**
 * The process's log: one JSON line a record on stderr, so that stdout stays data.
 * @param redact blots out of each line what must not stand in a log
 */
export function openLog(level: string, redact: (line: string) => string = (line) => line): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      hooks: { streamWrite: redact },
      serializers: { error: pino.stdSerializers.err },
      mixin: traceIds,
    },
    pino.destination({ dest: 2, sync: false }),
  );
}

function traceIds(): Record<string, string> {
  const trace = currentTrace();
  return trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId };
}
